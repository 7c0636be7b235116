// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import dev.gradclip.ClipEvent;
import dev.gradclip.ClipRule;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import dev.gradclip.NonFinitePolicy;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Event files of TensorBoard, read back by protobuf-java and by a check sum that is computed bit by bit. */
class TensorBoardTest {
    private static final Clock CLOCK = Clock.fixed(Instant.ofEpochMilli(1_764_131_025_123L), ZoneOffset.UTC);
    private static final String FILE = "events.out.tfevents.1764131025.gradclip";

    @TempDir
    private Path folder = Path.of("");

    /** One event: what the messages Event, Summary and Value of TensorFlow hold. */
    private record Event(double time, long step, String version, Map<String, Float> scalars) {
        static List<Event> of(Path file) throws IOException {
            return of(Files.readAllBytes(file));
        }

        /** Reads frames: length, sum of the length, data, sum of the data. */
        static List<Event> of(byte[] bytes) throws IOException {
            List<Event> events = new ArrayList<>();
            ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
            while (in.hasRemaining()) {
                byte[] length = new byte[8];
                in.get(length);
                assertEquals(maskedSum(length), in.getInt(), "sum of the length");
                byte[] data = new byte
                        [(int) ByteBuffer.wrap(length)
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .getLong()];
                in.get(data);
                assertEquals(maskedSum(data), in.getInt(), "sum of the data");
                events.add(event(CodedInputStream.newInstance(data)));
            }
            return events;
        }

        private static Event event(CodedInputStream in) throws IOException {
            double time = Double.NaN;
            long step = 0;
            String version = "";
            Map<String, Float> scalars = new LinkedHashMap<>();
            for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
                switch (WireFormat.getTagFieldNumber(tag)) {
                    case 1 -> time = in.readDouble();
                    case 2 -> step = in.readInt64();
                    case 3 -> version = in.readStringRequireUtf8();
                    case 5 -> summary(CodedInputStream.newInstance(in.readByteArray()), scalars);
                    default -> throw new IOException("an Event has no field of the tag " + tag);
                }
            }
            return new Event(time, step, version, scalars);
        }

        private static void summary(CodedInputStream in, Map<String, Float> scalars) throws IOException {
            for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
                assertEquals(WireFormat.WIRETYPE_LENGTH_DELIMITED, WireFormat.getTagWireType(tag));
                assertEquals(1, WireFormat.getTagFieldNumber(tag), "Summary.value");
                CodedInputStream value = CodedInputStream.newInstance(in.readByteArray());
                assertEquals(1, WireFormat.getTagFieldNumber(value.readTag()), "Summary.Value.tag");
                String name = value.readStringRequireUtf8();
                assertEquals(2, WireFormat.getTagFieldNumber(value.readTag()), "Summary.Value.simple_value");
                assertFalse(scalars.containsKey(name), name);
                scalars.put(name, value.readFloat());
                assertTrue(value.isAtEnd());
            }
        }
    }

    /** CRC-32C by its polynomial, then TFRecord's rotation and constant. */
    private static int maskedSum(byte[] data) {
        int crc = -1;
        for (byte b : data) {
            crc ^= b & 0xFF;
            for (int bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
        }
        crc = ~crc;
        return ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
    }

    /** Sums of RFC 3720, B.4, masked by hand: rotated right by 15 bits, plus 0xa282ead8. */
    @Test
    void checkSums() {
        byte[] zeros = new byte[32];
        byte[] ones = new byte[32];
        Arrays.fill(ones, (byte) -1);
        byte[] ascending = new byte[32];
        for (int i = 0; i < 32; i++) ascending[i] = (byte) i;
        Map<byte[], Integer> known = Map.of(zeros, 0x8a9136aa, ones, 0x62a8ab43, ascending, 0x46dd794e);
        known.forEach((data, crc) -> {
            int masked = (int) ((((crc & 0xFFFFFFFFL) >> 15) | ((crc & 0xFFFFFFFFL) << 17)) + 0xa282ead8L);
            assertEquals(masked, TensorBoardFormat.maskedSum(data));
            assertEquals(masked, maskedSum(data));
        });
    }

    /** Every event file of TensorFlow and PyTorch begins with these twelve bytes: an event of 24 bytes. */
    @Test
    void beginsAsTensorFlowsFilesDo() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        new TensorBoardFormat(out, 1.5);
        assertEquals(
                "1800000000000000" + "a37f4b22" + "09000000000000f83f" + "1a0d" + "627261696e2e4576656e743a32",
                HexFormat.of().formatHex(out.toByteArray(), 0, 36));
        assertEquals(40, out.size());
    }

    private RunRecorder.Builder recording(String log) {
        return RunRecorder.tensorBoard(folder.resolve(log)).clock(CLOCK);
    }

    @Test
    void scalarsOfEachClip() throws IOException {
        float[] first = {3};
        float[] second = {4};
        try (RunRecorder recorder = recording("run").tensorNorms().open();
                GradientClipper clipper = GradientClipper.builder()
                        .add("layer 0", HostBuffer.wrap(first))
                        .add("ü/😀", HostBuffer.wrap(second))
                        .listener(recorder)
                        .build()) {
            clipper.clip(ClipRule.globalNorm(2.5).withEpsilon(0));
            clipper.clipByValue(1);
            second[0] = Float.NaN;
            clipper.clip(ClipRule.globalNorm(Double.POSITIVE_INFINITY).withNonFinitePolicy(NonFinitePolicy.SKIP));
        }
        List<Event> events = Event.of(folder.resolve("run").resolve(FILE));
        assertEquals(4, events.size());
        assertEquals(new Event(1764131025.123, 0, "brain.Event:2", Map.of()), events.get(0));
        Map<String, Float> clip = new LinkedHashMap<>();
        clip.put("grad_norm/global", 5f);
        clip.put("grad_norm/threshold", 2.5f);
        clip.put("clip/coefficient", 0.5f);
        clip.put("clip/clipped", 1f);
        clip.put("clip/non_finite", 0f);
        clip.put("clip/skipped", 0f);
        clip.put("tensor_norm/layer 0", 3f);
        clip.put("tensor_norm/ü/😀", 4f);
        assertEquals(new Event(1764131025.123, 0, "", clip), events.get(1));
        assertEquals(
                Map.of("clip/clipped", 1f, "clip/non_finite", 0f, "clip/skipped", 0f),
                events.get(2).scalars(),
                "a clip by value measures no norm and has no single coefficient");
        Map<String, Float> skipped = events.get(3).scalars();
        assertEquals(2, events.get(3).step());
        assertEquals(Float.NaN, skipped.get("grad_norm/global"));
        assertEquals(Float.NaN, skipped.get("tensor_norm/ü/😀"));
        assertFalse(skipped.containsKey("grad_norm/threshold"), "a rule that only measures compares with nothing");
        assertEquals(1f, skipped.get("clip/non_finite"));
        assertEquals(1f, skipped.get("clip/skipped"));
    }

    @Test
    void groups() throws IOException {
        try (RunRecorder recorder = recording("run").groupNorms().open();
                GradientClipper clipper = GradientClipper.builder()
                        .group("head")
                        .add("w", HostBuffer.wrap(new float[] {3, 4}))
                        .listener(recorder)
                        .build()) {
            clipper.clipByGlobalNorm(10);
        }
        Map<String, Float> scalars =
                Event.of(folder.resolve("run").resolve(FILE)).get(1).scalars();
        assertEquals(5f, scalars.get("group_norm/head"));
    }

    /** What a training writes itself and what is made of its run file is the same, to the byte. */
    @Test
    void madeOfARunFile() throws IOException {
        for (String name : List.of("run.jsonl", "run.csv")) {
            Path run = folder.resolve(name);
            Path live = folder.resolve("live-" + name);
            try (RunRecorder recorder = RunRecorder.builder(run).clock(CLOCK).open();
                    RunRecorder board =
                            RunRecorder.tensorBoard(live).clock(CLOCK).open()) {
                for (int i = 0; i < 5; i++) {
                    ClipEvent event = new ClipEvent(
                            1L << (31 + i), 1.1 * i, 1, false, i == 3, Map.of(), Map.of(), ClipRule.globalNorm(3));
                    recorder.onClip(event);
                    board.onClip(event);
                }
            }
            Path log = folder.resolve("logs").resolve(name);
            assertEquals(log.resolve(FILE), TensorBoardLog.write(run, log));
            byte[] made = Files.readAllBytes(log.resolve(FILE));
            assertArrayEquals(Files.readAllBytes(live.resolve(FILE)), made);
            List<Event> events = Event.of(made);
            assertEquals(6, events.size());
            assertEquals(1L << 35, events.get(5).step());
            assertEquals(log.resolve(FILE), TensorBoardLog.write(run, log), "again");
            assertEquals(
                    Files.getPosixFilePermissions(run),
                    Files.getPosixFilePermissions(log.resolve(FILE)),
                    "whoever reads the run may read its events");
            assertEquals(List.of(FILE), names(log), "the earlier file is replaced, and nothing else is left");
        }
    }

    @Test
    void longRuns() throws IOException {
        Path run = folder.resolve("run.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 20_000; i++)
            lines.append("{\"step\":").append(3 * i).append(",\"norm\":2}\n");
        Files.writeString(run, lines);
        List<Event> events = Event.of(TensorBoardLog.write(run, folder.resolve("logs")));
        assertEquals(20_001, events.size());
        assertEquals(3 * 19_999, events.get(20_000).step());
        assertEquals(0, events.get(20_000).time(), "a run without times");
        assertEquals(2f, events.get(20_000).scalars().get("grad_norm/global"));
    }

    /** Names may change within a run, where a clipper is made anew. */
    @Test
    void otherTensorsFromSomeStepOn() throws IOException {
        Path run = Files.writeString(folder.resolve("run.jsonl"), """
                {"gradclip_run":1,"norms_of":"tensors","names":["a"]}
                {"step":0,"norm":1,"norms":[1]}
                {"gradclip_run":1,"norms_of":"groups","names":["b","c"]}
                {"step":1,"norm":2,"norms":[2,"inf"]}
                {"step":2,"norm":3}
                """);
        List<Event> events = Event.of(TensorBoardLog.write(run, folder));
        assertEquals(1f, events.get(1).scalars().get("tensor_norm/a"));
        assertEquals(2f, events.get(2).scalars().get("group_norm/b"));
        assertEquals(Float.POSITIVE_INFINITY, events.get(2).scalars().get("group_norm/c"));
        assertEquals(4, events.get(3).scalars().size());
    }

    /** A process that is killed leaves whole events, all but those of the last second. */
    @Test
    void wholeEventsAreWritten() throws IOException {
        try (RunRecorder recorder = recording("run").open()) {
            for (int i = 0; i < 3; i++) {
                recorder.onClip(new ClipEvent(i, 1, 1, false, false, Map.of(), Map.of(), ClipRule.globalNorm(1)));
                assertEquals(
                        i == 0 ? 0 : i + 1,
                        Event.of(folder.resolve("run").resolve(FILE)).size());
                recorder.flush();
                assertEquals(
                        i + 2, Event.of(folder.resolve("run").resolve(FILE)).size());
            }
        }
    }

    @Test
    void refusals() throws IOException {
        IllegalStateException append = assertThrows(
                IllegalStateException.class, () -> recording("run").append().open());
        assertTrue(String.valueOf(append.getMessage()).contains("gradclip report --tensorboard"), append::getMessage);
        recording("run").open().close();
        IOException twice = assertThrows(
                FileAlreadyExistsException.class, () -> recording("run").open());
        assertTrue(String.valueOf(twice.getMessage()).contains("a log directory of its own"), twice::getMessage);
        Path empty = Files.writeString(folder.resolve("empty.jsonl"), "");
        Path text = Files.write(folder.resolve("text.jsonl"), "mine\n".getBytes(StandardCharsets.UTF_8));
        Path log = folder.resolve("logs");
        assertThrows(BadRunException.class, () -> TensorBoardLog.write(empty, log));
        assertThrows(BadRunException.class, () -> TensorBoardLog.write(text, log));
        assertEquals(List.of(), names(log), "no part of a file is left");
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> String.valueOf(file.getFileName())).toList();
        }
    }
}
