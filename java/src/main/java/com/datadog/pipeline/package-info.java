/**
 * Delivers finished traces to a Datadog agent.
 *
 * <p>Start at {@link com.datadog.pipeline.TraceExporter#builder()}. The work is done by a native
 * library inside the JAR; {@link com.datadog.pipeline.TraceExporter#isAvailable()} says whether it
 * could be loaded. Nothing is null that is not marked as such. Classes of the package {@code
 * internal} are no part of the interface.
 */
@NullMarked
package com.datadog.pipeline;

import org.jspecify.annotations.NullMarked;
