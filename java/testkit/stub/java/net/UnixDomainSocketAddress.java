package java.net;

import java.nio.file.Path;

/** As much of the class of Java 16 as ours names; never packed. */
public abstract class UnixDomainSocketAddress extends SocketAddress {
  private static final long serialVersionUID = 1L;

  /** The address of this path. */
  public static UnixDomainSocketAddress of(Path path) {
    return null;
  }
}
