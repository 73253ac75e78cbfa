package com.datadog.pipeline;

/** What {@link AsyncTest} says of every exporter, of the one in Java. */
class PlainAsyncTest extends AsyncTest {
  @Override
  Builder bare() {
    return WithoutLibraryTest.without(WithoutLibrary.PURE_JAVA);
  }

  /** Its JVM of its own has the library. */
  @Override
  void theJvmEndsAtOnceWithAnExporterLeftOpen() {}

  /** Likewise. */
  @Override
  void aShutdownHookSendsWhatIsQueued() {}
}
