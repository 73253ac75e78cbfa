/** Delivers finished traces to a Datadog agent. */
module com.datadog.pipeline {
  exports com.datadog.pipeline;

  // For Builder.jmx and the command doctor, which say so where it is missing.
  requires static java.management;
}
