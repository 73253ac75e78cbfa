package com.datadog.pipeline.testkit;

import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;

/**
 * What is expected of stats, buckets added up; each method throws {@link AssertionError} with what
 * is there instead. Not thread-safe.
 */
public final class StatsAssert {
  private final Supplier<List<StatsGroup>> groups;
  private Duration limit = Duration.ZERO;

  StatsAssert(Supplier<List<StatsGroup>> groups) {
    this.groups = groups;
  }

  /** Waits up to so long for what is expected next. */
  public StatsAssert within(Duration limit) {
    this.limit = limit;
    return this;
  }

  /** So many spans were counted in all. */
  public StatsAssert hasHits(long hits) {
    Wait.until(groups, all -> hits(all, null, null) == hits, limit, hits + " hits");
    return this;
  }

  /** So many spans of this service and resource were counted. */
  public StatsAssert hasHits(String service, String resource, long hits) {
    String what = hits + " hits of " + service + " " + resource;
    Wait.until(groups, all -> hits(all, service, resource) == hits, limit, what);
    return this;
  }

  /** So many errors of this service and resource were counted. */
  public StatsAssert hasErrors(String service, String resource, long errors) {
    String what = errors + " errors of " + service + " " + resource;
    Wait.until(groups, all -> errors(all, service, resource) == errors, limit, what);
    return this;
  }

  private static boolean isOf(StatsGroup group, String service, String resource) {
    return service == null || group.service().equals(service) && group.resource().equals(resource);
  }

  private static long hits(List<StatsGroup> all, String service, String resource) {
    return all.stream().filter(g -> isOf(g, service, resource)).mapToLong(StatsGroup::hits).sum();
  }

  private static long errors(List<StatsGroup> all, String service, String resource) {
    return all.stream().filter(g -> isOf(g, service, resource)).mapToLong(StatsGroup::errors).sum();
  }
}
