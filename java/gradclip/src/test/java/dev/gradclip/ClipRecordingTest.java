// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.internal.clip.ClipRecording;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Recordings are written and read back. */
class ClipRecordingTest {
    private static final String NAME = "dev.gradclip.Clip";

    @TempDir
    Path folder;

    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private List<RecordedEvent> events(Recording recording) throws IOException {
        recording.stop();
        Path file = folder.resolve("clips.jfr");
        recording.dump(file);
        return RecordingFile.readAllEvents(file).stream()
                .filter(event -> event.getEventType().getName().equals(NAME))
                .toList();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everyField(TestBackend backend) throws IOException {
        try (Recording recording = new Recording();
                GradientClipper clipper = backend.builder()
                        .group("all")
                        .add(backend.place(Values.buffer(DType.FLOAT32, 3, 4)))
                        .build()) {
            clipper.clipByGlobalNorm(1000);
            recording.enable(NAME);
            recording.start();
            double coefficient = clipper.clipByGlobalNorm(1).coefficient();
            clipper.clipByValue(1e-3);
            List<RecordedEvent> events = events(recording);
            assertEquals(2, events.size());
            RecordedEvent event = events.get(0);
            assertEquals(1, event.getLong("step"));
            assertEquals(5, event.getDouble("norm"));
            assertEquals(coefficient, event.getDouble("coefficient"));
            assertTrue(event.getBoolean("clipped"));
            assertFalse(event.getBoolean("nonFinite"));
            assertFalse(event.getBoolean("async"));
            assertEquals("all=5.0", event.getString("groupNorms"));
            assertTrue(
                    event.getDuration().toNanos() > 0, () -> event.getDuration().toString());
            assertTrue(Double.isNaN(events.get(1).getDouble("norm")));
        }
        assertFalse(ClipRecording.isRecording());
    }

    /** A recording that does not ask for the event, like the JDK's own profiles, gets none. */
    @Test
    void offUnlessAskedFor() throws IOException {
        try (Recording recording = new Recording();
                GradientClipper clipper = GradientClipper.of(HostBuffer.wrap(new float[] {3, 4}))) {
            recording.enable("jdk.ThreadSleep");
            recording.start();
            assertFalse(ClipRecording.isRecording());
            clipper.clipByGlobalNorm(1);
            assertEquals(List.of(), events(recording));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("backends")
    void enqueued(TestBackend backend) throws IOException {
        if (!backend.onDevice()) return;
        try (Recording recording = new Recording();
                CudaStream stream = CudaStream.create();
                GradientClipper clipper = backend.clipper(Values.buffer(DType.FLOAT32, 3, 4))) {
            recording.enable(NAME);
            recording.start();
            clipper.clipByGlobalNormAsync(1, stream);
            stream.synchronize();
            clipper.poll();
            List<RecordedEvent> events = events(recording);
            assertEquals(1, events.size());
            assertTrue(events.get(0).getBoolean("async"));
            assertEquals(5, events.get(0).getDouble("norm"));
        }
    }

    /** A runtime may lack the module; the library then works without recordings. */
    @Test
    void withoutTheModule() {
        String output = ChildJvm.run(List.of("--limit-modules", "java.base"), Probe.class);
        assertEquals("5.0 recorded: false", output.strip());
    }

    /** Clips in a runtime without Flight Recorder. */
    static final class Probe {
        private Probe() {}

        public static void main(String[] args) {
            try (GradientClipper clipper = GradientClipper.builder()
                    .backend(Backend.JAVA)
                    .add(HostBuffer.wrap(new float[] {3, 4}))
                    .build()) {
                ClipResult result = clipper.clipByGlobalNorm(1);
                System.out.println(result.globalNorm() + " recorded: " + ClipRecording.isRecording());
            }
        }
    }

    /** Starting the recorder would take longer than all the rest of a first clip. */
    @Test
    void aClipDoesNotStartTheRecorder() {
        String output = ChildJvm.run(List.of(), FirstClipProbe.class);
        assertTrue(output.contains("started: false"), output);
    }

    /** A JVM links each lambda when it first meets it, for a millisecond; the first one of all takes five. */
    @Test
    void aFirstClipMeetsNoLambda() {
        String output = ChildJvm.run(List.of("-Xlog:class+load", "-Xshare:auto"), FirstClipProbe.class);
        assertTrue(output.contains("dev.gradclip.ClipResult "), output);
        List<String> lambdas = output.lines()
                .filter(line -> line.contains("dev.gradclip") && line.contains("$$Lambda"))
                .toList();
        assertEquals(List.of(), lambdas);
    }

    /** The option in docs/semantics.md has a plus, because no profile of the JDK holds the event. */
    @Test
    void thePageTurnsItOnAndTheFirstClipIsThere() throws IOException {
        String page = Files.readString(Path.of("../../docs/semantics.md"));
        Matcher option = Pattern.compile("java (-XX:StartFlightRecording:filename=)clips.jfr,(\\S+) ")
                .matcher(page);
        assertTrue(option.find(), page);
        assertTrue(page.contains("JFR.start name=clips filename=clips.jfr " + option.group(2) + "\n"), page);
        Path file = folder.resolve("start.jfr");
        String output = ChildJvm.run(List.of(option.group(1) + file + "," + option.group(2)), FirstClipProbe.class);
        assertTrue(output.contains("started: true"), output);
        long events = RecordingFile.readAllEvents(file).stream()
                .filter(event -> event.getEventType().getName().equals(NAME))
                .count();
        assertEquals(2, events);
    }
}
