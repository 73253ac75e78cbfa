package com.datadog.bridge;

/**
 * Exceptions on request, for a copy of the bridge whose methods begin with {@link #at}: {@code
 * -Dbridge.faults=build,write} fails the first payload in {@code build}, the second in {@code
 * write}, the third in {@code build} again; {@code send} alone fails every one.
 */
final class Faults {
  private static final String[] STEPS = System.getProperty("bridge.faults", "").split(",");
  private static int payload = -1;

  private Faults() {}

  static void at(String step) {
    if (step.equals("send")) {
      payload++;
    }
    if (payload < 0 || !STEPS[payload % STEPS.length].equals(step)) {
      return;
    }
    if (payload % 2 == 0) {
      throw new IllegalStateException("injected into " + step);
    }
    throw new NoClassDefFoundError("injected into " + step);
  }
}
