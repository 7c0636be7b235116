// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.ClipEvent;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import dev.gradclip.HostBuffer;
import dev.gradclip.NonFiniteGradientException;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.NormRule;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RunRecorderTest {
    @TempDir
    Path folder;

    private final Hand hand = new Hand();

    /** A clock that a test sets. */
    private static final class Hand extends Clock {
        long millis = 1_764_131_025_123L;

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }

        @Override
        public Instant instant() {
            return Instant.ofEpochMilli(millis);
        }
    }

    private record Read(List<RunStep> steps, List<List<String>> names, List<double[]> norms) {
        static Read of(Path file) throws IOException {
            Read read = new Read(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
            try (RunReader reader = RunReader.open(file)) {
                for (RunStep step = reader.next(); step != null; step = reader.next()) {
                    read.steps.add(step);
                    read.names.add(reader.names());
                    read.norms.add(reader.norms());
                }
            }
            return read;
        }
    }

    private static GradientClipper clipper(RunRecorder recorder, float... elements) {
        GradientClipperBuilder builder = GradientClipper.builder().listener(recorder);
        for (int i = 0; i < elements.length; i++) {
            builder.group("group " + i).add("layer " + i, HostBuffer.wrap(new float[] {elements[i]}));
        }
        return builder.build();
    }

    private static ClipEvent event(long step, double norm) {
        return new ClipEvent(step, norm, 1, false, false, Map.of(), Map.of(), ClipRule.globalNorm(1));
    }

    @Test
    void jsonLines() throws IOException {
        Path file = folder.resolve("run.jsonl");
        NormRule rule = ClipRule.globalNorm(2.5).withEpsilon(0);
        try (RunRecorder recorder =
                        RunRecorder.builder(file).tensorNorms().clock(hand).open();
                GradientClipper clipper = clipper(recorder, 3, 4)) {
            clipper.clip(rule);
            clipper.clip(rule);
            clipper.clipByValue(1);
        }
        assertEquals("""
                {"gradclip_run":1,"rule":"global-norm","norm_type":"2","norms_of":"tensors","names":["layer 0","layer 1"]}
                {"step":0,"time":1764131025.123,"norm":5.0,"threshold":2.5,"coefficient":0.5,"clipped":true,"non_finite":false,"skipped":false,"norms":[3.0,4.0]}
                {"step":1,"time":1764131025.123,"norm":2.5,"threshold":2.5,"coefficient":1.0,"clipped":false,"non_finite":false,"skipped":false,"norms":[1.5,2.0]}
                {"gradclip_run":1,"rule":"value","norms_of":"tensors","names":["layer 0","layer 1"]}
                {"step":2,"time":1764131025.123,"norm":null,"threshold":null,"coefficient":null,"clipped":true,"non_finite":false,"skipped":false}
                """, Files.readString(file));
    }

    @Test
    void csv() throws IOException {
        Path file = folder.resolve("run.CSV");
        try (RunRecorder recorder =
                        RunRecorder.builder(file).groupNorms().clock(hand).open();
                GradientClipper clipper = clipper(recorder, 3, 4)) {
            clipper.clip(ClipRule.globalNorm(2.5).withEpsilon(0));
            clipper.clip(ClipRule.perTensorNorm(Double.POSITIVE_INFINITY));
        }
        assertEquals("""
                step,time,norm,threshold,coefficient,clipped,non_finite,skipped,norm:group 0,norm:group 1
                0,1764131025.123,5.0,2.5,0.5,true,false,false,3.0,4.0
                1,1764131025.123,2.5,,,false,false,false,1.5,2.0
                """, Files.readString(file).replace(",1.0,false", ",,false"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"run.jsonl", "run.csv"})
    void whatIsNotFiniteComesBack(String name) throws IOException {
        Path file = folder.resolve(name);
        try (RunRecorder recorder =
                        RunRecorder.builder(file).tensorNorms().clock(hand).open();
                GradientClipper clipper = clipper(recorder, 3, Float.NaN)) {
            NormRule rule = ClipRule.globalNorm(1);
            assertThrows(
                    NonFiniteGradientException.class,
                    () -> clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.ERROR)));
            clipper.clip(rule.withNonFinitePolicy(NonFinitePolicy.SKIP));
            clipper.clip(ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNonFinitePolicy(NonFinitePolicy.ZERO));
            recorder.onClip(event(3, Double.POSITIVE_INFINITY));
        }
        Read read = Read.of(file);
        double time = 1764131025.123;
        assertEquals(
                List.of(
                        new RunStep(0, time, Double.NaN, 1, 1, false, true, true),
                        new RunStep(1, time, Double.NaN, 1, 1, false, true, true),
                        new RunStep(2, time, 3, Double.POSITIVE_INFINITY, 1, false, true, false),
                        new RunStep(3, time, Double.POSITIVE_INFINITY, 1, 1, false, false, false)),
                read.steps);
        assertArrayEquals(new double[] {3, Double.NaN}, read.norms.get(1));
        assertArrayEquals(new double[] {3, 0}, read.norms.get(2));
    }

    /** Whatever byte a killed process ends at, all steps whose lines are whole are read, and a resumed run goes on. */
    @ParameterizedTest
    @ValueSource(strings = {"run.jsonl", "run.csv"})
    void cutAnywhere(String name) throws IOException {
        Path file = folder.resolve(name);
        try (RunRecorder recorder =
                        RunRecorder.builder(file).tensorNorms().clock(hand).open();
                GradientClipper clipper = clipper(recorder, 3, 4)) {
            for (int i = 0; i < 3; i++) clipper.clipByGlobalNorm(1 + i);
        }
        byte[] whole = Files.readAllBytes(file);
        List<RunStep> all = Read.of(file).steps;
        Path cut = folder.resolve("cut-" + name);
        for (int length = 0; length <= whole.length; length++) {
            byte[] bytes = Arrays.copyOf(whole, length);
            Files.write(cut, bytes);
            int lines = 0;
            for (byte b : bytes) if (b == '\n') lines++;
            List<RunStep> left = Read.of(cut).steps;
            assertEquals(all.subList(0, Math.max(0, lines - 1)), left, "cut after " + length);
            try (RunRecorder recorder =
                    RunRecorder.builder(cut).append().clock(hand).open()) {
                recorder.onClip(event(0, 7));
                recorder.onClip(event(1, 8));
            }
            List<RunStep> resumed = Read.of(cut).steps;
            assertEquals(left, resumed.subList(0, left.size()), "cut after " + length);
            assertEquals(left.size() + 2, resumed.size());
            for (int i = 0; i < resumed.size(); i++)
                assertEquals(i, resumed.get(i).step());
        }
    }

    @Test
    void wholeLinesWithinASecond() throws IOException {
        Path file = folder.resolve("run.jsonl");
        try (RunRecorder recorder = RunRecorder.builder(file).clock(hand).open()) {
            for (int i = 0; i < 5; i++) recorder.onClip(event(i, 1));
            assertEquals(0, Files.size(file));
            hand.millis += 999;
            recorder.onClip(event(5, 1));
            assertEquals(0, Files.size(file));
            hand.millis += 1;
            recorder.onClip(event(6, 1));
            assertEquals(7, Read.of(file).steps.size());
            // A clock that is set back holds nothing up.
            hand.millis -= 3_600_000;
            recorder.onClip(event(7, 1));
            assertEquals(8, Read.of(file).steps.size());
            recorder.onClip(event(8, 1));
            recorder.flush();
            assertEquals(9, Read.of(file).steps.size());
            for (int i = 0; i < 1000; i++) recorder.onClip(event(9 + i, 1));
            assertTrue(Read.of(file).steps.size() > 400, "much is written at once");
            assertTrue(Files.readString(file).endsWith("}\n"));
        }
        assertEquals(1009, Read.of(file).steps.size());
    }

    @Test
    void anotherClipperGoesOn() throws IOException {
        Path file = folder.resolve("run.jsonl");
        try (RunRecorder recorder = RunRecorder.builder(file).tensorNorms().open()) {
            for (int layers = 1; layers <= 2; layers++) {
                try (GradientClipper clipper = clipper(recorder, layers == 1 ? new float[] {3} : new float[] {3, 4})) {
                    for (int i = 0; i < 3; i++) clipper.clipByGlobalNorm(100);
                }
            }
        }
        Read read = Read.of(file);
        assertEquals(
                List.of(0L, 1L, 2L, 3L, 4L, 5L),
                read.steps.stream().map(RunStep::step).toList());
        assertEquals(List.of("layer 0"), read.names.get(2));
        assertEquals(List.of("layer 0", "layer 1"), read.names.get(3));
        assertArrayEquals(new double[] {3, 4}, read.norms.get(5));
    }

    @ParameterizedTest
    @ValueSource(strings = {"run.jsonl", "run.csv"})
    void normsInSomeSteps(String name) throws IOException {
        Path file = folder.resolve(name);
        List<String> hostile = List.of("a,b", "\"", "</script>", "\u2028\u202e", "", "'; DROP", "norm", "ü😀");
        GradientClipperBuilder builder = GradientClipper.builder();
        for (String each : hostile) builder.add(each, HostBuffer.wrap(new float[] {1}));
        try (RunRecorder recorder =
                        RunRecorder.builder(file).tensorNorms().normsEvery(3).open();
                GradientClipper clipper = builder.listener(recorder).build()) {
            for (int i = 0; i < 7; i++) clipper.clipByGlobalNorm(100);
        }
        Read read = Read.of(file);
        assertEquals(hostile, read.names.get(0));
        assertEquals(
                List.of(8, 0, 0, 8, 0, 0, 8),
                read.norms.stream().map(norms -> norms.length).toList());
    }

    @Test
    void lineEndsInNamesAreNoLineEnds() throws IOException {
        for (String name : List.of("run.jsonl", "run.csv")) {
            Path file = folder.resolve(name);
            try (RunRecorder recorder = RunRecorder.builder(file).tensorNorms().open();
                    GradientClipper clipper = GradientClipper.builder()
                            .add("two\r\nlines", HostBuffer.wrap(new float[] {1}))
                            .listener(recorder)
                            .build()) {
                clipper.clipByGlobalNorm(1);
            }
            assertEquals(2, Files.readAllLines(file).size());
            assertEquals(1, Read.of(file).steps.size());
        }
    }

    @Test
    void aFileThatIsThereStays() throws IOException {
        Path file = Files.writeString(folder.resolve("run.jsonl"), "mine");
        IOException e = assertThrows(FileAlreadyExistsException.class, () -> RunRecorder.create(file));
        assertTrue(String.valueOf(e.getMessage()).contains("append()"), e::getMessage);
        assertThrows(
                BadRunException.class,
                () -> RunRecorder.builder(Files.writeString(file, "mine\n"))
                        .append()
                        .open());
        assertEquals("mine\n", Files.readString(file));
        assertThrows(
                IllegalArgumentException.class, () -> RunRecorder.builder(file).normsEvery(0));
    }

    /** A training thread may be interrupted at any time; that must not end the recording. */
    @Test
    void anInterruptedThreadRecordsOn() throws IOException {
        Path file = folder.resolve("run.jsonl");
        try (RunRecorder recorder = RunRecorder.create(file)) {
            Thread.currentThread().interrupt();
            recorder.onClip(event(0, 1));
            recorder.flush();
            recorder.onClip(event(1, 1));
        } finally {
            assertTrue(Thread.interrupted());
        }
        assertEquals(2, Read.of(file).steps.size());
    }

    @Test
    void aFullDiskIsToldOnceAndWhenClosed() throws IOException {
        ByteArrayOutputStream disk = new ByteArrayOutputStream();
        OutputStream full = new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                if (disk.size() == 100) throw new IOException("No space left on device");
                disk.write(b);
            }
        };
        Path file = folder.resolve("x.jsonl");
        RunRecorder recorder = new RunRecorder(RunRecorder.builder(file).clock(hand), file, full, -1);
        hand.millis += 1000;
        UncheckedIOException first = assertThrows(UncheckedIOException.class, () -> recorder.onClip(event(0, 1)));
        assertTrue(String.valueOf(first.getMessage()).contains("No space left"), first::getMessage);
        recorder.onClip(event(1, 1));
        assertFalse(recorder.wantsTensorNorms(2));
        IOException last = assertThrows(IOException.class, recorder::close);
        assertTrue(String.valueOf(last.getMessage()).contains("No space left"), last::getMessage);
        recorder.close();
        recorder.onClip(event(2, 1));
        assertEquals(100, disk.size());
    }
}
