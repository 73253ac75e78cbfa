/**
 * The commands of {@code java -jar data-pipeline.jar}. They alone read the environment and print.
 */
package com.datadog.pipeline.cli;
