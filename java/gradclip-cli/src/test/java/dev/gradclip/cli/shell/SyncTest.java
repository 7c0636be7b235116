// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.cli.Gradients;
import dev.gradclip.cli.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests that the output is on the disk before the command says that it is done, by the JVM's own events. */
class SyncTest {
    @TempDir
    Path folder;

    private static List<RecordedEvent> named(List<RecordedEvent> events, String type, String path) {
        return events.stream()
                .filter(e -> e.getEventType().getName().equals(type))
                .filter(e -> String.valueOf(e.getString("path")).matches(path))
                .toList();
    }

    private static List<RecordedEvent> recorded(Recording recording, Path file) throws IOException {
        recording.dump(file);
        return RecordingFile.readAllEvents(file);
    }

    @Test
    void theWholeFileAndThenItsFolder() throws IOException {
        Path in = new Gradients().floats("a", 3, 4).floats("b", 0).write(folder.resolve("in"));
        Path out = Files.createDirectory(folder.resolve("other")).resolve("out");
        List<RecordedEvent> events;
        try (Recording recording = new Recording()) {
            for (String event : List.of("jdk.FileWrite", "jdk.FileForce")) {
                recording.enable(event).withoutThreshold();
            }
            recording.start();
            Outcome.of("clip", in, "-o", out, "--max-norm", "1").expect(ExitCode.DONE);
            recording.stop();
            events = recorded(recording, folder.resolve("events.jfr"));
        }
        String temporary = ".*/\\.gradclip-[0-9a-f]+\\.tmp";
        List<RecordedEvent> writes = named(events, "jdk.FileWrite", temporary);
        List<RecordedEvent> forces = named(events, "jdk.FileForce", temporary);
        List<RecordedEvent> folders = named(events, "jdk.FileForce", ".*/other");
        assertFalse(writes.isEmpty());
        assertEquals(1, forces.size(), events::toString);
        assertTrue(forces.get(0).getBoolean("metaData"));
        for (RecordedEvent write : writes) {
            assertFalse(forces.get(0).getStartTime().isBefore(end(write)), "written after it was synced");
        }
        assertEquals(1, folders.size(), events::toString);
        assertFalse(folders.get(0).getStartTime().isBefore(end(forces.get(0))));
    }

    private static Instant end(RecordedEvent event) {
        return event.getEndTime();
    }
}
