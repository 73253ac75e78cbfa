package java.lang;

/**
 * What we use of Java 21's class of this name, for compilers that know only an older one. Nothing
 * of it gets into the JAR.
 */
public class Thread {
  /** The calling thread. */
  public static native Thread currentThread();

  /** Whether it is a virtual thread. */
  public final native boolean isVirtual();
}
