package com.datadog.pipeline.cli;

import com.datadog.pipeline.internal.plain.UnixSockets;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Timer;
import java.util.TimerTask;
import javax.net.ssl.SSLException;

/**
 * One request and its answer as plainly as HTTP allows: what is sent is what was given, to the
 * byte. A connection a request; no retries, no redirects. Not thread-safe.
 */
final class Post implements Closeable {
  /** Nobody is there to be asked, so the next request will fare no better. */
  static final class Away extends IOException {
    private static final long serialVersionUID = 1L;

    Away(String message) {
      super(message);
    }
  }

  /** An answer. */
  static final class Answer {
    final int status;
    final byte[] body;

    Answer(int status, byte[] body) {
      this.status = status;
      this.body = body;
    }
  }

  /** More of an answer is not read. */
  private static final int MOST = 4 << 20;

  private static final int LONGEST_LINE = 64 << 10;

  private final String socketPath;
  private final String host;
  private final int port;
  private final Tls tls;
  private final int limitMillis;
  private final Timer timer = new Timer("replay-limit", true);

  /** The path of the address, without a slash at its end. */
  final String prefix;

  /** The value of the header {@code host}. */
  final String authority;

  /** For an address that {@code AgentUrl} finds no fault with; {@code tls} is for https. */
  Post(String url, Tls tls, int limitMillis) {
    this.limitMillis = limitMillis;
    if (url.startsWith("unix://")) {
      socketPath = url.substring("unix://".length());
      host = "localhost";
      port = 80;
      this.tls = null;
      prefix = "";
      authority = host;
      return;
    }
    socketPath = null;
    boolean secure = url.toLowerCase(Locale.ROOT).startsWith("https://");
    String rest = url.substring(url.indexOf("://") + 3);
    int slash = rest.indexOf('/');
    authority = slash < 0 ? rest : rest.substring(0, slash);
    String path = slash < 0 ? "" : rest.substring(slash);
    while (path.endsWith("/")) {
      path = path.substring(0, path.length() - 1);
    }
    prefix = path;
    int colon = authority.lastIndexOf(':');
    boolean cut = colon > authority.lastIndexOf(']');
    boolean named = cut && colon < authority.length() - 1;
    String bare = cut ? authority.substring(0, colon) : authority;
    host = bare.startsWith("[") ? bare.substring(1, bare.indexOf(']')) : bare;
    port = named ? Integer.parseInt(authority.substring(colon + 1)) : secure ? 443 : 80;
    this.tls = tls;
  }

  /** Sends a head, with its empty line, and a body; gives the last answer. */
  Answer send(byte[] head, byte[] body) throws IOException {
    Closeable[] open = new Closeable[1];
    boolean[] late = new boolean[1];
    TimerTask end =
        new TimerTask() {
          @Override
          public void run() {
            synchronized (open) {
              late[0] = true;
              close(open[0]);
            }
          }
        };
    timer.schedule(end, limitMillis);
    boolean[] began = new boolean[1];
    try {
      return socketPath == null
          ? overTcp(open, head, body, began)
          : overUnix(open, head, body, began);
    } catch (IOException e) {
      synchronized (open) {
        if (late[0] || e instanceof SocketTimeoutException) {
          String what = "no answer within " + limitMillis + " ms (--budget-ms)";
          throw began[0] ? new IOException(what) : new Away(what);
        }
      }
      if (e instanceof SSLException) {
        throw new Away(Tls.why((SSLException) e, authority));
      }
      if (e instanceof EOFException) {
        throw new IOException("the connection was closed before it had answered");
      }
      throw e;
    } finally {
      end.cancel();
      synchronized (open) {
        close(open[0]);
      }
    }
  }

  private Answer overTcp(Closeable[] open, byte[] head, byte[] body, boolean[] began)
      throws IOException {
    Socket socket = new Socket();
    keep(open, socket);
    try {
      socket.connect(new InetSocketAddress(host, port), limitMillis);
    } catch (UnknownHostException e) {
      throw new Away("the host name " + host + " has no address (--url)");
    } catch (ConnectException e) {
      throw new Away("nobody listens at " + authority + " (--url)");
    }
    socket.setTcpNoDelay(true);
    if (tls != null) {
      socket = tls.over(socket, host, port);
    }
    began[0] = true;
    return exchange(socket.getInputStream(), socket.getOutputStream(), head, body);
  }

  private Answer overUnix(Closeable[] open, byte[] head, byte[] body, boolean[] began)
      throws IOException {
    SocketChannel channel = UnixSockets.open();
    keep(open, channel);
    try {
      channel.connect(UnixSockets.address(socketPath));
    } catch (IOException e) {
      throw new Away("the socket " + socketPath + " cannot be opened: " + e.getMessage());
    }
    began[0] = true;
    return exchange(
        Channels.newInputStream(channel), Channels.newOutputStream(channel), head, body);
  }

  private static void keep(Closeable[] open, Closeable one) {
    synchronized (open) {
      open[0] = one;
    }
  }

  private static Answer exchange(InputStream in, OutputStream out, byte[] head, byte[] body)
      throws IOException {
    IOException broken = null;
    try {
      out.write(head);
      out.write(body);
      out.flush();
    } catch (IOException e) {
      // The peer may have answered already (413) and closed: let the read find out.
      broken = e;
    }
    try {
      return read(in);
    } catch (IOException e) {
      // Under TLS a refusal comes as an alert, which says more than the write that broke off.
      throw broken == null || e instanceof SSLException ? e : broken;
    }
  }

  private static Answer read(InputStream in) throws IOException {
    while (true) {
      String first = line(in);
      String[] words = first.split(" ", 3);
      if (words.length < 2
          || !words[0].startsWith("HTTP/1.")
          || !words[1].matches("[1-5][0-9]{2}")) {
        throw new IOException("what answered does not speak HTTP");
      }
      int status = Integer.parseInt(words[1]);
      long length = -1;
      boolean chunked = false;
      for (String line = line(in); !line.isEmpty(); line = line(in)) {
        int colon = line.indexOf(':');
        String name = colon < 0 ? "" : line.substring(0, colon).toLowerCase(Locale.ROOT);
        String value = line.substring(colon + 1).trim();
        if (name.equals("content-length") && value.matches("[0-9]{1,18}")) {
          length = Long.parseLong(value);
        } else if (name.equals("transfer-encoding")) {
          chunked = value.toLowerCase(Locale.ROOT).contains("chunked");
        }
      }
      if (status >= 200) {
        boolean none = status == 204 || status == 304;
        return new Answer(status, none ? new byte[0] : body(in, length, chunked));
      }
    }
  }

  private static byte[] body(InputStream in, long length, boolean chunked) throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    if (!chunked) {
      copy(in, body, length);
      return body.toByteArray();
    }
    while (body.size() < MOST) {
      String size = line(in).split(";", 2)[0].trim();
      if (!size.matches("[0-9a-fA-F]{1,8}")) {
        throw new IOException("the answer's chunks cannot be read");
      }
      long n = Long.parseLong(size, 16);
      if (n == 0) {
        break;
      }
      copy(in, body, n);
      line(in);
    }
    return body.toByteArray();
  }

  /** Copies so many bytes, or up to the end if that is not said; no more than is wanted. */
  private static void copy(InputStream in, ByteArrayOutputStream to, long length)
      throws IOException {
    byte[] buffer = new byte[8192];
    long left = Math.min(length < 0 ? Long.MAX_VALUE : length, MOST - to.size());
    while (left > 0) {
      int n = in.read(buffer, 0, (int) Math.min(buffer.length, left));
      if (n < 0) {
        if (length >= 0) {
          throw new EOFException();
        }
        return;
      }
      to.write(buffer, 0, n);
      left -= n;
    }
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException();
      }
      if (line.size() == LONGEST_LINE) {
        throw new IOException("a line of the answer is far too long");
      }
      line.write(b);
    }
    String text = new String(line.toByteArray(), StandardCharsets.ISO_8859_1);
    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
  }

  private static void close(Closeable one) {
    try {
      if (one != null) {
        one.close();
      }
    } catch (IOException e) {
      // It is not used any more.
      return;
    }
  }

  @Override
  public void close() {
    timer.cancel();
  }
}
