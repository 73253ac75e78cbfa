package com.datadog.pipeline;

import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import javax.management.InstanceAlreadyExistsException;
import javax.management.InstanceNotFoundException;
import javax.management.JMException;
import javax.management.ObjectName;

/**
 * The bean of one exporter. Holds it weakly: a server of beans must not keep a forgotten exporter
 * alive. Thread-safe.
 */
final class JmxBean implements TraceExporterMXBean {
  private static final AtomicInteger NEXT = new AtomicInteger();
  private static final int ATTEMPTS = 1_000;

  private final WeakReference<TraceExporter> exporter;
  private final String url;
  private ObjectName name;

  private JmxBean(TraceExporter exporter, String url) {
    this.exporter = new WeakReference<>(exporter);
    this.url = url;
  }

  /** Registers a bean under the next free number. */
  static JmxBean register(TraceExporter exporter, String url) {
    JmxBean bean = new JmxBean(exporter, url);
    try {
      for (int i = 0; ; i++) {
        ObjectName name =
            new ObjectName("com.datadog.pipeline:type=TraceExporter,id=" + NEXT.incrementAndGet());
        try {
          ManagementFactory.getPlatformMBeanServer().registerMBean(bean, name);
          bean.name = name;
          return bean;
        } catch (InstanceAlreadyExistsException e) {
          // A copy of ours in another class loader counts for itself.
          if (i == ATTEMPTS) {
            throw e;
          }
        }
      }
    } catch (JMException | RuntimeException | LinkageError e) {
      throw new TraceExporterException(
          ErrorCode.INVALID_CONFIGURATION, "jmx: the bean could not be registered: " + e, e);
    }
  }

  void unregister() {
    try {
      ManagementFactory.getPlatformMBeanServer().unregisterMBean(name);
    } catch (InstanceNotFoundException e) {
      // Somebody else has taken it away.
      return;
    } catch (JMException | RuntimeException e) {
      // Closing goes on; a bean that stays says CLOSED.
      return;
    }
  }

  @Override
  public String getUrl() {
    return url;
  }

  private AgentState state() {
    TraceExporter e = exporter.get();
    try {
      return e == null ? null : e.state();
    } catch (IllegalStateException closed) {
      return null;
    }
  }

  private Metrics metrics() {
    TraceExporter e = exporter.get();
    if (e == null) {
      throw new IllegalStateException("the exporter is gone");
    }
    return e.metrics();
  }

  @Override
  public String getState() {
    AgentState state = state();
    return state == null ? "CLOSED" : state.condition().name();
  }

  @Override
  public long getLastSuccessMillis() {
    AgentState state = state();
    return state == null || state.lastSuccess() == null ? 0 : state.lastSuccess().toEpochMilli();
  }

  @Override
  public String getLastError() {
    AgentState state = state();
    return state == null || state.lastError() == null ? "" : state.lastError().getMessage();
  }

  @Override
  public Map<String, Long> getAccount() {
    Metrics m = metrics();
    Map<String, Long> account = new LinkedHashMap<>();
    put(account, "received", m.received());
    put(account, "sent", m.sent());
    put(account, "filtered", m.filtered());
    put(account, "sampled_out", m.sampledOut());
    put(account, "queued", m.queued());
    put(account, "dropped", m.droppedTotal());
    for (Map.Entry<DropReason, Metrics.Counts> e : m.dropped().entrySet()) {
      if (e.getValue().traces() > 0 || e.getValue().bytes() > 0) {
        String key = "dropped." + e.getKey().name().toLowerCase(Locale.ROOT) + ".traces";
        account.put(key, e.getValue().traces());
      }
    }
    account.put("payloads", m.payloads());
    account.put("requests", m.requests());
    account.put("repaired", m.repaired());
    account.put("possibly_duplicated", m.possiblyDuplicated());
    account.put("possibly_arrived", m.possiblyArrived());
    account.put("unread.payloads", m.unreadPayloads());
    account.put("unread.traces", m.unreadTraces());
    account.put("unread.bytes", m.unreadBytes());
    account.put("native_bytes", m.nativeBytes());
    put(account, "spooled", m.spooled());
    account.put("queue.payloads", m.queuePayloads());
    account.put("queue.bytes", m.queueBytes());
    account.put("queue.oldest_millis", m.queueOldestMillis());
    account.put("queue.refused", m.queueRefused());
    account.put("queue.evicted", m.queueEvicted());
    account.put("queue.pace_millis", m.queuePaceMillis());
    account.put("wire_bytes", m.wireBytes());
    return account;
  }

  private static void put(Map<String, Long> account, String key, Metrics.Counts counts) {
    account.put(key + ".traces", counts.traces());
    account.put(key + ".spans", counts.spans());
    account.put(key + ".bytes", counts.bytes());
  }

  @Override
  public long getReceivedTraces() {
    return metrics().received().traces();
  }

  @Override
  public long getSentTraces() {
    return metrics().sent().traces();
  }

  @Override
  public long getDroppedTraces() {
    return metrics().droppedTotal().traces();
  }

  @Override
  public String explain() {
    TraceExporter e = exporter.get();
    if (e == null) {
      throw new IllegalStateException("the exporter is gone");
    }
    return e.explain();
  }
}
