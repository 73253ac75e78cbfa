/** What an exporter has to say, in the application's log: SLF4J or {@code java.util.logging}. */
package com.datadog.pipeline.logging;
