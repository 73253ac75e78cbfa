package java.nio.channels;

import java.io.IOException;
import java.net.ProtocolFamily;
import java.net.SocketAddress;

/** As much of the class of Java 16 as ours names; never packed. */
public abstract class ServerSocketChannel implements Channel {
  /** A channel of this family. */
  public static ServerSocketChannel open(ProtocolFamily family) throws IOException {
    return null;
  }

  /** Listens at this address; so many connections may wait. */
  public abstract ServerSocketChannel bind(SocketAddress local, int backlog) throws IOException;

  /** The next connection. */
  public abstract SocketChannel accept() throws IOException;
}
