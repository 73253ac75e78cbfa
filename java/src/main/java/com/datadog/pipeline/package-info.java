/**
 * Delivers finished traces to a Datadog agent.
 *
 * <p>Start at {@link com.datadog.pipeline.TraceExporter#builder()}. The work is done by a native
 * library inside the JAR; {@link com.datadog.pipeline.TraceExporter#isAvailable()} says whether it
 * could be loaded. Classes of the package {@code internal} are no part of the interface.
 */
package com.datadog.pipeline;
