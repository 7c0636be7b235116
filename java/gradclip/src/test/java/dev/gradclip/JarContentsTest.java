// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The contents of the library's jar beside its classes. */
class JarContentsTest {
    private static final Path CLASSES = Path.of(System.getProperty("build.classes", "target/classes"));

    @ParameterizedTest
    @ValueSource(strings = {"LICENSE", "NOTICE"})
    void holdsTheLicenceAndTheNotices(String name) throws Exception {
        assertEquals(Files.readString(Path.of("../..", name)), Files.readString(CLASSES.resolve("META-INF/" + name)));
    }

    @Test
    void theNoticesNameWhatTheNativeLibrariesContain() throws Exception {
        String notice = Files.readString(CLASSES.resolve("META-INF/NOTICE"));
        for (String part : new String[] {"Highway", "CUDA runtime", "NVTX"}) assertTrue(notice.contains(part), part);
    }

    /** What native code looks up by name, as GraalVM's native-image must know. */
    @Test
    void theMetadataOfNativeImageNamesClassesThatAreThere() throws Exception {
        Path file = CLASSES.resolve("META-INF/native-image/dev.gradclip/gradclip/reachability-metadata.json");
        JsonNode types = new ObjectMapper().readTree(file.toFile()).required("reflection");
        Set<String> named = new TreeSet<>();
        for (JsonNode type : types) {
            Class<?> found = Class.forName(type.required("type").asText());
            named.add(found.getName());
            for (JsonNode method : type.path("methods")) {
                List<String> parameters = new ArrayList<>();
                method.required("parameterTypes").forEach(parameter -> parameters.add(parameter.asText()));
                assertTrue(
                        Stream.of(found.getDeclaredConstructors())
                                .anyMatch(maker -> Stream.of(maker.getParameterTypes())
                                        .map(Class::getName)
                                        .toList()
                                        .equals(parameters)),
                        found + " has no constructor of " + parameters);
            }
        }
        assertTrue(named.contains("dev.gradclip.internal.jni.UnboundPieceException"), named::toString);
    }

    /** The library that emulates a device is for tests. */
    @Test
    void holdsNoEmulator() throws Exception {
        try (Stream<Path> files = Files.walk(CLASSES)) {
            assertTrue(files.noneMatch(file -> file.toString().contains("emulated")));
        }
    }
}
