package com.datadog.pipeline.kotlin

import com.datadog.pipeline.ErrorCode
import com.datadog.pipeline.TraceExporterException
import com.datadog.pipeline.testkit.FakeAgent
import java.time.Duration
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.extension.RegisterExtension

class SuspendingTraceExporterTest {
    companion object {
        @JvmField @RegisterExtension val agent: FakeAgent = FakeAgent.start()

        /** A trace of one span. */
        private val ONE = "\u0091\u0091\u0083\u00a7span_id\u0008\u00a8trace_id\u0007\u00a4name\u00a1n".toByteArray(Charsets.ISO_8859_1)
    }

    @Test
    fun aSendGivesTheAnswer() = runBlocking {
        val response = traceExporter { url(agent.url()) }.use { it.send(ONE) }
        assertEquals(200, response.status())
        assertEquals(mapOf("service:,env:" to 1.0), response.rates())
        assertNull(response.containerTagsHash())
        agent.assertTraces().hasSize(1).span("n")
        Unit
    }

    @Test
    fun sendsThatWaitHoldNoThread() = runBlocking {
        agent.delay(Duration.ofMillis(100))
        traceExporter { url(agent.url()).senders(4) }.use { exporter ->
            // One thread runs all of this: it is free for the others while one waits.
            val answers = List(20) { async { exporter.send(ONE) } }.awaitAll()
            assertEquals(20, answers.count { it.status() == 200 })
            assertEquals(20, exporter.metrics.sent().traces())
        }
    }

    @Test
    fun anErrorIsThrownAsItIs() {
        agent.failWith(400)
        traceExporter { url(agent.url()) }.use { exporter ->
            val e = assertThrows(TraceExporterException::class.java) { runBlocking { exporter.send(ONE) } }
            assertEquals(ErrorCode.HTTP_STATUS, e.code())
        }
        assertThrows(IllegalArgumentException::class.java) { traceExporter { senders(-1) } }
    }

    @Test
    fun whoIsCancelledDoesNotWait() = runBlocking {
        agent.delay(Duration.ofSeconds(30))
        traceExporter { url(agent.url()) }.use { exporter ->
            val start = System.nanoTime()
            assertNull(withTimeoutOrNull(50) { exporter.send(ONE) })
            val job = launch { exporter.send(ONE) }
            job.cancel()
            job.join()
            assertTrue(System.nanoTime() - start < 20_000_000_000)
            agent.heal()
        }
    }

    @Test
    fun whoIsCancelledDoesNotWaitForAFlush() = runBlocking {
        agent.delay(Duration.ofSeconds(60))
        val exporter = traceExporter { url(agent.url()) }
        assertTrue(exporter.offer(ONE))
        val start = System.nanoTime()
        assertNull(withTimeoutOrNull(50) { exporter.flush(Duration.ofSeconds(50)) })
        val job = launch(Dispatchers.Default) { exporter.flush(Duration.ofSeconds(50)) }
        job.cancelAndJoin()
        assertTrue(System.nanoTime() - start < 20_000_000_000)
        exporter.exporter.close(Duration.ZERO)
        val e = runCatching { exporter.flush(Duration.ofSeconds(1)) }.exceptionOrNull()
        assertTrue(e is IllegalStateException, "$e")
    }

    @Test
    fun whatWasOfferedIsFlushed() = runBlocking {
        traceExporter { url(agent.url()) }.use { exporter ->
            assertTrue(exporter.offer(ONE))
            assertTrue(exporter.flush(Duration.ofSeconds(20)).delivered())
        }
        agent.assertTraces().hasSize(1)
        Unit
    }
}
