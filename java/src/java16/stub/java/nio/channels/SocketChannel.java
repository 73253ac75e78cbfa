package java.nio.channels;

import java.io.IOException;
import java.net.ProtocolFamily;

/** As much of the class of Java 15 as ours names; never packed. */
public abstract class SocketChannel {
  /** A channel of this family. */
  public static SocketChannel open(ProtocolFamily family) throws IOException {
    return null;
  }
}
