package datadog.trace.agent.tooling;

/** As much of the tracer's class as the extension has to know at compile time; not packaged. */
public abstract class InstrumenterModule {
  public InstrumenterModule(String name, String... more) {}
}
