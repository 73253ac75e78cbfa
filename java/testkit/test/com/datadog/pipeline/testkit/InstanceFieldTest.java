package com.datadog.pipeline.testkit;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.extension.RegisterExtension;

/** An agent a test: the extension in a field of the instance. */
class InstanceFieldTest {
  private static FakeAgent before;

  @RegisterExtension final FakeAgent agent = FakeAgent.start();

  @RepeatedTest(2)
  void theOneOfTheTestBeforeIsClosed() {
    assertTrue(before == null || before.isStopped());
    assertFalse(agent.isStopped());
    before = agent;
  }
}
