/**
 * An agent for tests ({@link com.datadog.pipeline.testkit.FakeAgent}), and a sink without a socket
 * ({@link com.datadog.pipeline.testkit.ListExporter}). What arrives is read by code of its own, not
 * by what is tested.
 */
package com.datadog.pipeline.testkit;
