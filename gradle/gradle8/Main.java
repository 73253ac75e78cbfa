package org.gradle.launcher;

import java.io.File;
import org.gradle.cli.*;
import org.gradle.initialization.*;
import org.gradle.internal.buildprocess.BuildProcessState;
import org.gradle.internal.classpath.ClassPath;
import org.gradle.internal.instrumentation.agent.AgentStatus;
import org.gradle.internal.logging.services.*;
import org.gradle.internal.nativeintegration.services.NativeServices;
import org.gradle.launcher.cli.converter.*;
import org.gradle.launcher.exec.*;

/** Gradle's option parser and build machinery, in process. */
public class Main {
  public void run(String[] args) {
    try { System.exit(build(args)); } catch (Throwable t) { t.printStackTrace(); System.exit(1); }
  }

  private int build(String[] args) {
    var p = new CommandLineParser(); var ip = new InitialPropertiesConverter(); var bl = new BuildLayoutConverter(); var sp = new StartParameterConverter();
    ip.configure(p); bl.configure(p); sp.configure(p);
    p.allowMixedSubcommandsAndOptions();
    var cwd = new File(System.getProperty("user.dir"));
    var cl = p.parse(args); var props = ip.convert(cl); var layout = bl.convert(props, cl, cwd);
    var all = new LayoutToPropertiesConverter(new org.gradle.initialization.layout.BuildLayoutFactory()).convert(props, layout);
    var start = sp.convert(cl, layout, all, new org.gradle.api.internal.StartParameterInternal());
    all.getRequestedSystemProperties().forEach(System::setProperty);
    NativeServices.initializeOnClient(layout.getGradleUserHomeDir(), NativeServices.NativeServicesMode.ENABLED);
    var logging = LoggingServiceRegistry.newCommandLineProcessLogging();
    var log = logging.get(DefaultLoggingManagerFactory.class).create();
    log.captureSystemSources(); log.attachProcessConsole(start.getConsoleOutput()); log.setLevelInternal(start.getLogLevel()); log.start();
    try (var process = new BuildProcessState(false, AgentStatus.disabled(), ClassPath.EMPTY, logging, NativeServices.getInstance())) {
      return process.getServices().get(BuildExecutor.class).execute(
          new org.gradle.tooling.internal.provider.action.ExecuteBuildAction(start),
          new DefaultBuildActionParameters(System.getProperties(), System.getenv(), cwd, start.getLogLevel(), false, ClassPath.EMPTY),
          new DefaultBuildRequestContext(new DefaultBuildRequestMetaData(System.currentTimeMillis(), false), new DefaultBuildCancellationToken(), e -> {})
      ).hasFailure() ? 1 : 0;
    } finally { log.stop(); }
  }
}
