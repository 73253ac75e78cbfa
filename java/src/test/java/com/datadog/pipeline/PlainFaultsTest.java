package com.datadog.pipeline;

/** What {@link FaultsTest} says of every exporter, of the one in Java. */
class PlainFaultsTest extends FaultsTest {
  @Override
  Builder bare() {
    return WithoutLibraryTest.without(WithoutLibrary.PURE_JAVA);
  }

  /** Before Java 16 there are no sockets with a path; {@link WithoutLibraryTest} tests both. */
  @Override
  void aSocketThatIsNotThereIsNamed() {}
}
