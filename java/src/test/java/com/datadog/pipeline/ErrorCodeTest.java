package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The lists that both sides of the boundary have are the same ones. */
class ErrorCodeTest {
  private static String source(String file) throws IOException {
    File root = new File(System.getProperty("fixtures")).getParentFile().getParentFile();
    byte[] bytes = Files.readAllBytes(new File(root, "src/" + file).toPath());
    return new String(bytes, StandardCharsets.UTF_8);
  }

  @Test
  void errorCodesHaveTheNumbersOfTheNativeSide() throws IOException {
    Map<String, Integer> rust = new TreeMap<>();
    Matcher m =
        Pattern.compile("(?m)^    [A-Za-z]+ = (\\d+), \"([A-Z_]+)\";").matcher(source("error.rs"));
    while (m.find()) {
      rust.put(m.group(2), Integer.valueOf(m.group(1)));
    }
    Map<String, Integer> java = new TreeMap<>();
    for (ErrorCode code : ErrorCode.values()) {
      java.put(code.name(), code.number());
    }
    assertTrue(rust.size() > 20, rust.toString());
    assertEquals(rust, java);
  }

  @Test
  void numbersAreUsedOnceAndFoundAgain() {
    Set<Integer> numbers = new HashSet<>();
    for (ErrorCode code : ErrorCode.values()) {
      assertTrue(numbers.add(code.number()), code.name());
      assertEquals(code, ErrorCode.of(code.number()));
    }
    assertEquals(ErrorCode.INTERNAL, ErrorCode.of(9999));
  }

  @Test
  void dropReasonsStandInTheOrderOfTheNativeSide() throws IOException {
    List<String> rust = new ArrayList<>();
    Matcher m =
        Pattern.compile("(?m)^    [A-Za-z]+ = \"([a-z_]+)\";").matcher(source("account/mod.rs"));
    while (m.find()) {
      rust.add(m.group(1).toUpperCase(Locale.ROOT));
    }
    List<String> java = new ArrayList<>();
    Arrays.asList(DropReason.values()).forEach(reason -> java.add(reason.name()));
    assertTrue(rust.size() > 8, rust.toString());
    assertEquals(rust, java);
  }
}
