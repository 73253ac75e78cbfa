package com.datadog.pipeline;

/** What {@link SendTest} says of every exporter, of the one in Java. */
class PlainSendTest extends SendTest {
  @Override
  Builder bare() {
    return WithoutLibraryTest.without(WithoutLibrary.PURE_JAVA);
  }
}
