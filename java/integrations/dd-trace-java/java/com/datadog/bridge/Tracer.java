package com.datadog.bridge;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What the bridge uses of the tracer, by name, looked up once for a class of its sender. A name
 * that is missing is an exception that says which: the bridge does nothing then. Immutable.
 */
final class Tracer {
  final Class<?> api;

  /** Arguments are kept, since calls come one after another. */
  private static final Object[] NONE = {};

  private final Object[] one = new Object[1];
  private final Object[] two = new Object[2];

  /** Whether the agent is to compute no stats, whoever else does. */
  private final boolean agentComputesNone;

  /** Whether the tracer's log is to have a line for every send. */
  private final boolean logsEverySend;

  /** The tracer's log says when sends succeed again; until then that is all it wants to know. */
  private boolean logKnows;

  private int lastStatus;
  private String lastBody;
  private Object lastResponse;

  /** A response that says that all is well, and nothing else. */
  final Object accepted;

  private final Field listeners;
  private final Field discovery;
  private final Field url;
  private final Field client;
  private final Field headers;
  private final Field metricsEnabled;
  private final Field totalTraces;
  private final Field receivedTraces;
  private final Field sentTraces;
  private final Method countSuccess;
  private final Method countFailure;
  private final Method traceCount;
  private final Method droppedTraces;
  private final Method droppedSpans;
  private final Method writeTo;
  private final Method success;
  private final Method failed;
  private final Method traceEndpoint;
  private final Method supportsMetrics;
  private final Method discoverIfOutdated;
  private final Method onResponse;

  Tracer(Class<?> api) throws ReflectiveOperationException {
    this.api = api;
    Method seam = null;
    for (Method method : api.getMethods()) {
      if (method.getName().equals(Patch.METHOD) && method.getParameterCount() == 1) {
        seam = method;
      }
    }
    if (seam == null) {
      throw new NoSuchMethodException(api.getName() + "." + Patch.METHOD);
    }
    Class<?> payload = seam.getParameterTypes()[0];
    Class<?> response = seam.getReturnType();
    listeners = field(api, "responseListeners");
    discovery = field(api, "featuresDiscovery");
    url = field(api, "agentUrl");
    client = field(api, "httpClient");
    headers = field(api, "headers");
    metricsEnabled = field(api, "nativeMetricsEnabled", "metricsEnabled");
    totalTraces = field(api, "totalTraces");
    receivedTraces = field(api, "receivedTraces");
    sentTraces = field(api, "sentTraces");
    agentComputesNone =
        Boolean.TRUE.equals(config("isOtelTracesSpanMetricsEnabled"))
            || Boolean.FALSE.equals(config("isApmTracingEnabled"))
            || Boolean.TRUE.equals(config("isAppSecStandaloneEnabled"));
    logsEverySend = Boolean.TRUE.equals(config("isDebugEnabled"));
    countSuccess = method(api, "countAndLogSuccessfulSend", int.class, int.class);
    countFailure = named(api, "countAndLogFailedSend", 4);
    traceCount = method(payload, "traceCount");
    droppedTraces = method(payload, "droppedTraces");
    droppedSpans = method(payload, "droppedSpans");
    writeTo = method(payload, "writeTo", WritableByteChannel.class);
    success = method(response, "success", int.class, String.class);
    failed = method(response, "failed", int.class);
    accepted = success.invoke(null, 200, "");
    Class<?> features = discovery.getType();
    traceEndpoint = method(features, "getTraceEndpoint");
    supportsMetrics = method(features, "supportsMetrics");
    discoverIfOutdated = method(features, "discoverIfOutdated");
    String listener =
        response.getName().substring(0, response.getName().lastIndexOf('.'))
            + ".RemoteResponseListener";
    onResponse =
        method(
            Class.forName(listener, false, api.getClassLoader()),
            "onResponse",
            String.class,
            Map.class);
  }

  private static Field field(Class<?> of, String... names) throws NoSuchFieldException {
    for (Class<?> c = of; c != null; c = c.getSuperclass()) {
      for (String name : names) {
        try {
          Field field = c.getDeclaredField(name);
          field.setAccessible(true);
          return field;
        } catch (NoSuchFieldException e) {
          // Perhaps another name, or in the class above.
        }
      }
    }
    throw new NoSuchFieldException(of.getName() + "." + names[0]);
  }

  private static Method method(Class<?> of, String name, Class<?>... parameters)
      throws NoSuchMethodException {
    for (Class<?> c = of; c != null; c = c.getSuperclass()) {
      try {
        Method method = c.getDeclaredMethod(name, parameters);
        method.setAccessible(true);
        return method;
      } catch (NoSuchMethodException e) {
        // Perhaps in the class above.
      }
    }
    throw new NoSuchMethodException(of.getName() + "." + name);
  }

  private static Method named(Class<?> of, String name, int parameters)
      throws NoSuchMethodException {
    for (Class<?> c = of; c != null; c = c.getSuperclass()) {
      for (Method method : c.getDeclaredMethods()) {
        if (method.getName().equals(name) && method.getParameterCount() == parameters) {
          method.setAccessible(true);
          return method;
        }
      }
    }
    throw new NoSuchMethodException(of.getName() + "." + name);
  }

  String url(Object sender) throws ReflectiveOperationException {
    return url.get(sender).toString();
  }

  /**
   * The URL that the tracer sends to, without the endpoint. A path of the agent's URL counts up to
   * its last slash.
   */
  String base(Object sender, String endpoint) throws ReflectiveOperationException {
    Object base = url.get(sender);
    String whole =
        base.getClass().getMethod("resolve", String.class).invoke(base, endpoint).toString();
    return whole.substring(0, whole.length() - endpoint.length() - 1);
  }

  /** The Unix socket that the tracer's client uses, from its settings or found; null if none. */
  String socket(Object sender) throws ReflectiveOperationException {
    Object factory = ofClient(sender, "socketFactory");
    return factory.getClass().getSimpleName().equals("UnixDomainSocketFactory")
        ? field(factory.getClass(), "path").get(factory).toString()
        : null;
  }

  /** Whether the tracer's client opens its connections as everybody does: no pipe, no proxy. */
  boolean isDirect(Object sender) throws ReflectiveOperationException {
    if (!ofClient(sender, "socketFactory").getClass().getName().startsWith("javax.net.")) {
      return false;
    }
    Object proxy = ofClient(sender, "proxy");
    if (proxy != null) {
      return proxy == Proxy.NO_PROXY;
    }
    ProxySelector selector = (ProxySelector) ofClient(sender, "proxySelector");
    List<Proxy> proxies = selector == null ? null : selector.select(URI.create(url(sender)));
    return proxies == null || proxies.isEmpty() || proxies.get(0).type() == Proxy.Type.DIRECT;
  }

  private Object ofClient(Object sender, String getter) throws ReflectiveOperationException {
    Object of = client.get(sender);
    return of.getClass().getMethod(getter).invoke(of);
  }

  /**
   * The endpoint that the tracer chose, {@code v0.4/traces} for instance; asks the agent if due.
   */
  String endpoint(Object sender) throws ReflectiveOperationException {
    Object features = discovery.get(sender);
    String endpoint = (String) traceEndpoint.invoke(features, NONE);
    if (endpoint == null) {
      discoverIfOutdated.invoke(features, NONE);
      endpoint = (String) traceEndpoint.invoke(features, NONE);
    }
    return endpoint;
  }

  /** The tracer limits how often that asks. */
  void discover(Object sender) throws ReflectiveOperationException {
    discoverIfOutdated.invoke(discovery.get(sender), NONE);
  }

  /** Whether nobody but the tracer may compute stats, if it is able to. */
  boolean wantsStats(Object sender) throws ReflectiveOperationException {
    return agentComputesNone || metricsEnabled.getBoolean(sender);
  }

  /** Whether the agent shall compute no stats, now: the tracer does, or nobody is to. */
  boolean computesStats(Object sender) throws ReflectiveOperationException {
    return agentComputesNone
        || wantsStats(sender) && (Boolean) supportsMetrics.invoke(discovery.get(sender), NONE);
  }

  int traces(Object payload) throws ReflectiveOperationException {
    return (Integer) traceCount.invoke(payload, NONE);
  }

  long droppedTraces(Object payload) throws ReflectiveOperationException {
    return (Long) droppedTraces.invoke(payload, NONE);
  }

  long droppedSpans(Object payload) throws ReflectiveOperationException {
    return (Long) droppedSpans.invoke(payload, NONE);
  }

  void write(Object payload, WritableByteChannel to) throws ReflectiveOperationException {
    one[0] = to;
    writeTo.invoke(payload, one);
  }

  /** Tells the tracer's own counters, and makes its response. */
  Object succeeded(Object sender, int traces, int bytes, int status, String body)
      throws ReflectiveOperationException {
    count(sender, traces);
    if (logKnows && !logsEverySend) {
      sentTraces.setLong(sender, sentTraces.getLong(sender) + traces);
    } else {
      countSuccess.invoke(sender, traces, bytes);
      logKnows = true;
    }
    if (lastResponse == null || status != lastStatus || !body.equals(lastBody)) {
      two[0] = status;
      two[1] = body;
      lastResponse = success.invoke(null, two);
      lastStatus = status;
      lastBody = body;
    }
    return lastResponse;
  }

  Object failed(Object sender, int traces, int bytes, int status)
      throws ReflectiveOperationException {
    count(sender, traces);
    logKnows = false;
    countFailure.invoke(sender, traces, bytes, null, null);
    return failed.invoke(null, status);
  }

  private void count(Object sender, int traces) throws ReflectiveOperationException {
    totalTraces.setLong(sender, totalTraces.getLong(sender) + traces);
    receivedTraces.setLong(sender, receivedTraces.getLong(sender) + traces);
  }

  /** Hands the agent's rates to the sampler. */
  void rates(Object sender, String url, Map<String, Map<String, Number>> answer)
      throws ReflectiveOperationException {
    for (Object listener : (List<?>) listeners.get(sender)) {
      onResponse.invoke(listener, url, answer);
    }
  }

  /** The headers that the tracer itself would send, as pairs. */
  List<String[]> headers(Object sender) throws ReflectiveOperationException {
    Object base = url.get(sender);
    Class<?> utils =
        Class.forName("datadog.communication.http.OkHttpUtils", true, api.getClassLoader());
    Method prepare = utils.getMethod("prepareRequest", url.getType(), Map.class);
    Object builder = prepare.invoke(null, base, headers.get(sender));
    Object request = builder.getClass().getMethod("build").invoke(builder);
    Object sent = request.getClass().getMethod("headers").invoke(request);
    Method name = sent.getClass().getMethod("name", int.class);
    Method value = sent.getClass().getMethod("value", int.class);
    int size = (Integer) sent.getClass().getMethod("size").invoke(sent);
    List<String[]> pairs = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      pairs.add(new String[] {(String) name.invoke(sent, i), (String) value.invoke(sent, i)});
    }
    return pairs;
  }

  /** A value of the tracer's configuration, null if this version has no such getter. */
  Object config(String getter) {
    try {
      Class<?> config = Class.forName("datadog.trace.api.Config", true, api.getClassLoader());
      Object instance = config.getMethod("get").invoke(null);
      return config.getMethod(getter).invoke(instance);
    } catch (ReflectiveOperationException | LinkageError e) {
      return null;
    }
  }
}
