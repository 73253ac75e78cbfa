package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * The public Java surface is the one of {@code docs/java_api.txt}, a line an item. A change that is
 * meant is written with {@code API_WRITE=1 gradle check} and committed with its reason.
 */
class ApiTest {
  private static final Path LIST =
      new File(System.getProperty("fixtures"), "../../docs/java_api.txt").toPath().normalize();

  @Test
  void theListThatIsCheckedInIsThePublicApi() throws Exception {
    TreeSet<String> now = new TreeSet<>();
    for (String name : Jars.entries().keySet()) {
      if (name.matches("com/datadog/pipeline/[A-Za-z$]+\\.class") && !name.contains("package-")) {
        String type = name.substring(0, name.length() - ".class".length()).replace('/', '.');
        add(now, Class.forName(type, false, ApiTest.class.getClassLoader()));
      }
    }
    assertTrue(now.size() > 200, now.size() + " items");
    if (System.getenv("API_WRITE") != null) {
      Files.write(LIST, now, StandardCharsets.UTF_8);
    }
    List<String> changes = new ArrayList<>();
    List<String> known = known();
    for (String item : now) {
      if (!known.contains(item)) {
        changes.add("+ " + item);
      }
    }
    for (String item : known) {
      if (!now.contains(item)) {
        changes.add("- " + item);
      }
    }
    assertEquals(Collections.emptyList(), changes, "if that is meant: API_WRITE=1 gradle check");
  }

  private static List<String> known() throws IOException {
    return Files.readAllLines(LIST, StandardCharsets.UTF_8);
  }

  private static boolean isSeen(Member member) {
    return Modifier.isPublic(member.getModifiers()) || Modifier.isProtected(member.getModifiers());
  }

  private static void add(TreeSet<String> to, Class<?> type) {
    for (Class<?> outer = type; outer != null; outer = outer.getEnclosingClass()) {
      if (!Modifier.isPublic(outer.getModifiers()) || type.isAnonymousClass()) {
        return;
      }
    }
    String kind = type.isEnum() ? "enum " : type.isInterface() ? "interface " : "class ";
    String abstracts = type.isInterface() ? "" : modifiers(type.getModifiers() & ~Modifier.STATIC);
    StringBuilder head = new StringBuilder(abstracts + kind + type.getName());
    Class<?> parent = type.getSuperclass();
    if (parent != null && parent != Object.class && Modifier.isPublic(parent.getModifiers())) {
      head.append(" extends ").append(parent.getName());
    }
    for (Type one : type.getGenericInterfaces()) {
      head.append(" implements ").append(one.getTypeName());
    }
    to.add(head.toString());
    // What a parent that nobody sees declares is the type's own: Builder's setters, for instance.
    for (Class<?> c = type; c != null && (c == type || !Modifier.isPublic(c.getModifiers())); ) {
      String name = type.getName() + ".";
      for (Field field : c.getDeclaredFields()) {
        if (isSeen(field) && !field.isSynthetic()) {
          String declared = field.getGenericType().getTypeName();
          to.add(name + field.getName() + ": " + modifiers(field.getModifiers()) + declared);
        }
      }
      for (Method method : c.getDeclaredMethods()) {
        if (isSeen(method) && !method.isSynthetic()) {
          String gives = method.getGenericReturnType().getTypeName();
          to.add(name + method.getName() + signature(method) + ": " + gives);
        }
      }
      for (Constructor<?> constructor : c.getDeclaredConstructors()) {
        if (isSeen(constructor) && c == type) {
          to.add(name + "new" + signature(constructor));
        }
      }
      c = c.getSuperclass();
    }
  }

  private static String modifiers(int modifiers) {
    int told = Modifier.STATIC | Modifier.FINAL | Modifier.ABSTRACT | Modifier.PROTECTED;
    String text = Modifier.toString(modifiers & told);
    return text.isEmpty() ? "" : text + " ";
  }

  private static String signature(Executable executable) {
    List<String> parameters = new ArrayList<>();
    for (Type parameter : executable.getGenericParameterTypes()) {
      parameters.add(parameter.getTypeName());
    }
    // Of a final class every method is final, so that says nothing.
    int told = executable.getModifiers() & ~Modifier.FINAL & ~Modifier.TRANSIENT;
    String modifiers = modifiers(told).trim();
    return "(" + String.join(", ", parameters) + ")" + (modifiers.isEmpty() ? "" : " " + modifiers);
  }
}
