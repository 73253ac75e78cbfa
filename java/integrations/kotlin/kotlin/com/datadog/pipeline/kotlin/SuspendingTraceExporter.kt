package com.datadog.pipeline.kotlin

import com.datadog.pipeline.AgentResponse
import com.datadog.pipeline.Builder
import com.datadog.pipeline.FlushResult
import com.datadog.pipeline.Metrics
import com.datadog.pipeline.TraceExporter
import com.datadog.pipeline.TraceExporterException
import java.time.Duration
import java.util.concurrent.CompletionException
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.suspendCancellableCoroutine

/**
 * An exporter for coroutines: `traceExporter { url("http://127.0.0.1:8126") }.use { it.send(payload) }`.
 *
 * The block is that of a [Builder], so every setting is there under its own name. Values that cannot work are an
 * [IllegalArgumentException], settings that do not go together a [TraceExporterException].
 */
fun traceExporter(settings: Builder.() -> Unit = {}): SuspendingTraceExporter =
    SuspendingTraceExporter(TraceExporter.builder().apply(settings).build())

/** A [TraceExporter] whose `send` suspends instead of holding its thread. Thread-safe. */
class SuspendingTraceExporter(
    /** The exporter itself, for everything that is not here. */
    val exporter: TraceExporter,
) : AutoCloseable {

    /**
     * Sends a payload and gives the agent's answer; no thread waits meanwhile. It goes through the exporter's queue and shares
     * its bounds. A coroutine that is cancelled hears no answer; the payload may have been sent. With `Overflow.BLOCK` it holds
     * its thread while the queue is full.
     *
     * @throws TraceExporterException if it was not accepted, `QUEUE_FULL` if the queue has no room
     * @throws IllegalStateException if the exporter is closed
     */
    suspend fun send(payload: ByteArray): AgentResponse = suspendCancellableCoroutine { continuation ->
        val answer = exporter.sendAsync(payload)
        continuation.invokeOnCancellation { answer.cancel(false) }
        answer.whenComplete { response: AgentResponse?, failure: Throwable? ->
            if (response != null) {
                continuation.resume(response)
            } else {
                val cause = (failure as? CompletionException)?.cause ?: failure
                continuation.resumeWithException(cause ?: IllegalStateException("no answer and no error"))
            }
        }
    }

    /** Puts a payload into the queue, which is sent in the background; `false` if it has no room. Never suspends; see [send] for `Overflow.BLOCK`. */
    fun offer(payload: ByteArray): Boolean = exporter.offer(payload)

    /**
     * Waits until what was offered is delivered, for `limit` at most, on a thread of [Dispatchers.IO]. A coroutine that is
     * cancelled goes on at once; that thread waits on, since a flush that has begun cannot be interrupted.
     *
     * @throws IllegalStateException if the exporter is closed
     */
    suspend fun flush(limit: Duration): FlushResult = suspendCancellableCoroutine { continuation ->
        Dispatchers.IO.dispatch(EmptyCoroutineContext) {
            if (continuation.isActive) {
                continuation.resumeWith(runCatching { exporter.flush(limit) })
            }
        }
    }

    /** What became of every trace so far. */
    val metrics: Metrics
        get() = exporter.metrics()

    /** As [TraceExporter.close]: waits for running sends within the exporter's limit. */
    override fun close() = exporter.close()
}
