package com.datadog.bridge;

import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;

/** Patches the tracer's sender when it is loaded, or again when it was loaded before. */
final class Transformer implements ClassFileTransformer {
  /** The tracer is relocated differently in its artifacts; the end of the name is the same. */
  static final String SENDER = "/common/writer/ddagent/DDAgentApi";

  /** As a class says its name. */
  static final String SENDER_CLASS = SENDER.replace('/', '.');

  @Override
  public byte[] transform(
      ClassLoader loader, String name, Class<?> known, ProtectionDomain domain, byte[] classFile) {
    if (name == null || !name.endsWith(SENDER)) {
      return null;
    }
    if (!seesBridge(loader)) {
      Bridge.say("not active, the tracer sends itself: ", name + " cannot see the bridge");
      return null;
    }
    try {
      return Patch.apply(classFile);
    } catch (Throwable e) {
      Bridge.say(
          "not active, the tracer sends itself: ",
          name + " is not what is known: " + e.getMessage());
      return null;
    }
  }

  /**
   * Not every loader asks the boot loader, those of OSGi for instance. There the sender would throw
   * an error with each payload.
   */
  private static boolean seesBridge(ClassLoader loader) {
    try {
      return Class.forName(Bridge.class.getName(), false, loader) == Bridge.class;
    } catch (ClassNotFoundException | LinkageError e) {
      return false;
    }
  }
}
