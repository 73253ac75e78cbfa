package java.net;

/** As much of the class of Java 16 as ours names; never packed. */
public final class UnixDomainSocketAddress extends SocketAddress {
  private static final long serialVersionUID = 1;

  private UnixDomainSocketAddress() {}

  /** An address with this path. */
  public static UnixDomainSocketAddress of(String path) {
    return null;
  }
}
