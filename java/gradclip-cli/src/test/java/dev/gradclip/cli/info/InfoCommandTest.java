// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.info;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.cli.Json;
import dev.gradclip.cli.Outcome;
import dev.gradclip.cli.shell.BackendOptions;
import dev.gradclip.cli.shell.ExitCode;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class InfoCommandTest {
    @Test
    void everyBackendWithItsReason() {
        Map<String, Object> info =
                Outcome.of("info", "--format", "json").expect(ExitCode.DONE).json();
        List<Map<String, Object>> backends = Json.maps(info, "backends");
        assertEquals(Backend.values().length, backends.size());
        int chosen = 0;
        for (Map<String, Object> backend : backends) {
            boolean available = (Boolean) Json.get(backend, "available");
            assertTrue(!Json.string(backend, "reason").isBlank());
            assertTrue(available || !Json.string(backend, "remedy").isBlank());
            if ((Boolean) Json.get(backend, "chosen")) chosen++;
        }
        assertEquals(1, chosen);
        assertEquals(BackendOptions.name(Backend.preferred()), info.get("chosen"));
        for (String key : List.of("version", "threads", "fma", "simd", "jvm", "os")) Json.get(info, key);
    }

    @Test
    void theNativeLibrarysDetails() {
        if (!Backend.NATIVE.isAvailable()) return;
        Map<String, String> details = Backend.NATIVE.details();
        String text = Outcome.of("info").expect(ExitCode.DONE).out();
        for (String key : List.of("library", "version", "build id", "simd")) {
            assertTrue(details.containsKey(key), key);
            assertTrue(text.contains(String.valueOf(details.get(key))), text);
        }
    }

    @Test
    void text() {
        String text = Outcome.of("info").expect(ExitCode.DONE).out();
        for (String part :
                List.of("backend java: available", "backend native: ", "backend cuda: ", "chosen", "fma", "jvm")) {
            assertTrue(text.contains(part), text);
        }
    }
}
