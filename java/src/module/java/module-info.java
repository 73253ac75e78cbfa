/** Delivers finished traces to a Datadog agent. */
module com.datadog.pipeline {
  exports com.datadog.pipeline;
}
