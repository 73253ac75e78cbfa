package com.datadog.pipeline.internal;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;

/**
 * Checks an agent's address when it is set, by the rules of the native side ({@code
 * src/settings/url.rs}), which checks it again. Stateless, thread-safe.
 */
public final class AgentUrl {
  private static final String PIPE = "windows:\\\\.\\pipe\\";

  private AgentUrl() {}

  /**
   * What is wrong with the address, in a sentence that says how to write one; null if it can be
   * used.
   */
  public static String fault(String url) {
    String why = reason(url);
    String forms =
        "; use http://host:port, https://host:port, unix:///path/to/socket or " + PIPE + "name";
    return why == null ? null : why + forms;
  }

  /**
   * An address, or what was meant to be one, without user, path and query: they may be secret. The
   * path of a socket and the name of a pipe stay, they are the address.
   */
  public static String shown(String url) {
    int at = url.indexOf("://");
    String scheme = at < 0 ? "" : url.substring(0, at + 3);
    String lower = scheme.toLowerCase(Locale.ROOT);
    if (lower.equals("unix://")
        || lower.equals("unixgram://")
        || url.startsWith("windows:")
        || url.startsWith("/")) {
      return url;
    }
    String rest = url.substring(scheme.length());
    // A password may hold any character, so what stands before the last @ is hidden whole.
    int user = rest.lastIndexOf('@');
    String authority = rest.substring(user + 1);
    int end = 0;
    while (end < authority.length() && "/?#".indexOf(authority.charAt(end)) < 0) {
      end++;
    }
    int path = end;
    while (path < authority.length() && authority.charAt(path) == '/') {
      path++;
    }
    return scheme
        + (user < 0 ? "" : "***@")
        + authority.substring(0, end)
        + (path == authority.length() ? "" : "/***");
  }

  /**
   * What is wrong with the address of a DogStatsD server, by the rules of {@code
   * src/settings/statsd_url.rs}; null if it can be used.
   */
  public static String statsdFault(String url) {
    String why = statsdReason(url);
    return why == null ? null : why + "; use udp://host:port or unix:///path/to/socket";
  }

  /**
   * What is wrong with the address of a proxy, by the rules of {@code src/settings/proxy.rs}; null
   * if it can be used. The library checks user and password again.
   */
  public static String proxyFault(String url) {
    String why = proxyReason(url);
    return why == null ? null : why + "; use http://user:password@host:port";
  }

  private static String proxyReason(String url) {
    int at = url.indexOf("://");
    if (at < 0) {
      return "the scheme is missing";
    }
    String scheme = url.substring(0, at).toLowerCase(Locale.ROOT);
    if (scheme.equals("https")) {
      return "a proxy is spoken to in plain HTTP (what is sent through it is encrypted all the"
          + " same)";
    }
    if (scheme.startsWith("socks")) {
      return "SOCKS is not spoken; name a proxy that knows CONNECT";
    }
    int user = url.lastIndexOf('@');
    if (user >= 0
        && url.substring(at + 3, user).replace("%3a", ":").replace("%3A", ":").indexOf(':') < 0) {
      return "what stands before the @ is user:password";
    }
    String address = url.substring(user < 0 ? at + 3 : user + 1);
    String why = reason(scheme + "://" + address);
    if (why == null && address.indexOf('/') >= 0 && address.indexOf('/') < address.length() - 1) {
      return "a proxy has no path";
    }
    return why;
  }

  private static String statsdReason(String url) {
    for (String scheme : new String[] {"unix://", "unixgram://"}) {
      if (url.startsWith(scheme)) {
        boolean absolute = url.startsWith("/", scheme.length()) && url.indexOf('\0') < 0;
        return absolute ? null : "a Unix socket needs an absolute path, so three slashes";
      }
    }
    if (!url.startsWith("udp://")) {
      return url.contains("://") ? "the scheme is unknown" : "the scheme is missing";
    }
    String authority = url.substring("udp://".length());
    for (int i = 0; i < authority.length(); i++) {
      if ("/?#@".indexOf(authority.charAt(i)) >= 0) {
        return "only host and port have a meaning here";
      }
    }
    return http(authority);
  }

  private static String reason(String url) {
    if (url.startsWith("unix://")) {
      if (url.indexOf('\0') >= 0) {
        return "the path has a NUL";
      }
      return url.startsWith("unix:///")
          ? null
          : "a Unix socket needs an absolute path, so three slashes after 'unix:'";
    }
    if (url.startsWith("windows:")) {
      boolean named = url.startsWith(PIPE) && url.length() > PIPE.length();
      return named ? null : "a named pipe is written " + PIPE + "name";
    }
    if (url.isEmpty()) {
      return "it is empty";
    }
    String lower = url.toLowerCase(Locale.ROOT);
    boolean secure = lower.startsWith("https://");
    if (!secure && !lower.startsWith("http://")) {
      return "the scheme is missing or unknown";
    }
    for (int i = 0; i < url.length(); i++) {
      if (url.charAt(i) <= 0x20 || url.charAt(i) >= 0x7f) {
        return "it has spaces, control characters or non-ASCII characters";
      }
    }
    return http(url.substring((secure ? "https://" : "http://").length()));
  }

  private static String http(String rest) {
    int end = 0;
    while (end < rest.length() && "/?#".indexOf(rest.charAt(end)) < 0) {
      end++;
    }
    String authority = rest.substring(0, end);
    if (rest.indexOf('?', end) >= 0 || rest.indexOf('#', end) >= 0) {
      return "query and fragment have no meaning here";
    }
    if (authority.indexOf('@') >= 0) {
      return "user and password have no meaning here";
    }
    if (authority.startsWith("[")) {
      int bracket = authority.indexOf(']');
      if (bracket < 0 || !isIpv6(authority.substring(1, bracket))) {
        return "the IPv6 address in brackets cannot be read";
      }
      String port = authority.substring(bracket + 1);
      return port.isEmpty() ? null : port.startsWith(":") ? port(port.substring(1)) : port("x");
    }
    int colon = authority.indexOf(':');
    String host = colon < 0 ? authority : authority.substring(0, colon);
    if (host.isEmpty()) {
      return "the host is missing";
    }
    for (int i = 0; i < host.length(); i++) {
      char c = host.charAt(i);
      if (!(c >= 'a' && c <= 'z'
          || c >= 'A' && c <= 'Z'
          || c >= '0' && c <= '9'
          || "-._".indexOf(c) >= 0)) {
        return "the host has characters that no host name has";
      }
    }
    return colon < 0 ? null : port(authority.substring(colon + 1));
  }

  private static String port(String port) {
    int number = port.isEmpty() ? 80 : 0;
    for (int i = 0; i < port.length(); i++) {
      char c = port.charAt(i);
      number = c >= '0' && c <= '9' && number <= 0xffff ? number * 10 + c - '0' : 0x10000;
    }
    return number > 0 && number <= 0xffff ? null : "the port must be 1 to 65535";
  }

  private static boolean isIpv6(String address) {
    if (address.indexOf(':') < 0 || address.indexOf('%') >= 0) {
      return false;
    }
    try {
      // In brackets it is read as an address; no name is looked up.
      InetAddress.getByName("[" + address + "]");
      return true;
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
