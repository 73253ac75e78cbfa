package com.datadog.pipeline.testkit;

import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * The agent as an extension of JUnit 5. In a static field it lives as long as the tests of the
 * class and those nested in it, else as long as one test. Thread-safe.
 */
final class JUnitAgent extends FakeAgent
    implements BeforeAllCallback, BeforeEachCallback, AfterEachCallback, AfterAllCallback {
  /** Classes that are running: the one that has the field, and those nested in it. */
  private int classes;

  private JUnitAgent(Builder start) {
    super(start);
  }

  /** Gives the super class: who calls this loads nothing of JUnit before. */
  static FakeAgent make(Builder start) {
    return new JUnitAgent(start);
  }

  @Override
  public synchronized void beforeAll(ExtensionContext context) {
    classes++;
    resume();
  }

  @Override
  public synchronized void beforeEach(ExtensionContext context) {
    resume();
    clear();
    heal();
  }

  @Override
  public synchronized void afterEach(ExtensionContext context) {
    if (classes == 0) {
      close();
    }
  }

  @Override
  public synchronized void afterAll(ExtensionContext context) {
    classes--;
    if (classes == 0) {
      close();
    }
  }
}
