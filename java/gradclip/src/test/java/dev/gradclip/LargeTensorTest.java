// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.NativeLevels;
import dev.gradclip.internal.jni.TestSupport;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** More elements than an int counts, over memory that is reserved and hardly touched. */
class LargeTensorTest {
    private static final long COUNT = (1L << 31) + 1;
    private static final long BYTES = 2 * COUNT;
    private static final long[] PLACES = {0, 5, (1L << 30) + 4095, (1L << 31) - 1, 1L << 31};
    private long memory;

    /** Returns the native backends; plain Java makes a view for each tile at an address, which takes long. */
    static Stream<TestBackend> nativeBackends() {
        return TestBackend.all().filter(b -> b.backend() == Backend.NATIVE);
    }

    @BeforeEach
    void reserve() {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "addresses need the native library");
        try {
            memory = TestSupport.reserve(BYTES);
        } catch (OutOfMemoryError e) {
            assumeTrue(false, "no address space for " + BYTES + " bytes");
        }
        for (int i = 0; i < PLACES.length; i++) at(PLACES[i]).putShort(0, Values.half(DType.BFLOAT16, i + 1));
    }

    @AfterEach
    void release() {
        if (memory != 0) TestSupport.release(memory, BYTES);
    }

    private ByteBuffer at(long element) {
        return NativeLevels.view(memory + 2 * element, 2).order(ByteOrder.LITTLE_ENDIAN);
    }

    private double value(long element) {
        return dev.gradclip.internal.cpu.Half.bfloat16ToFloat(at(element).getShort(0));
    }

    private HostBuffer inPieces(long pieceLength) {
        List<HostBuffer> pieces = new ArrayList<>();
        for (long from = 0; from < COUNT; from += pieceLength) {
            long length = Math.min(pieceLength, COUNT - from);
            pieces.add(HostBuffer.wrap(memory + 2 * from, length, DType.BFLOAT16, null));
        }
        return HostBuffer.ofPieces(pieces);
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("nativeBackends")
    void everyElementIsSeenAndClampedInOnePieceAndInSeveral(TestBackend backend) {
        HostBuffer whole = HostBuffer.wrap(memory, COUNT, DType.BFLOAT16, null);
        try (GradientClipper clipper = backend.clipper(whole);
                GradientClipper parts = backend.clipper(inPieces(3L << 28))) {
            ClipResult result = clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            assertEquals(COUNT, result.elements());
            assertEquals(Math.sqrt(55), result.globalNorm());
            assertEquals(Math.sqrt(55), parts.globalNorm());
            assertEquals(15, clipper.globalNorm(NormType.L1));
            assertEquals(5, clipper.globalNorm(NormType.INF));
            assertEquals(2, clipper.clipByValue(3).elementsChanged());
            assertEquals(3, value(1L << 31));
            assertEquals(3, value((1L << 31) - 1));
            assertEquals(2, value(5));
            at(1L << 31).putShort(0, Values.half(DType.BFLOAT16, Double.NaN));
            NormRule error = ClipRule.globalNorm(1).withNonFinitePolicy(NonFinitePolicy.ERROR);
            assertThrows(NonFiniteGradientException.class, () -> clipper.clip(error));
            assertEquals(3, parts.clipByValue(1).elementsChanged());
            assertEquals(1, value((1L << 31) - 1));
        }
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("nativeBackends")
    void threadsShareItWithoutLosingAnElement(TestBackend backend) {
        HostBuffer whole = HostBuffer.wrap(memory, COUNT, DType.BFLOAT16, null);
        try (GradientClipper clipper = backend.builder().threads(4).add(whole).build()) {
            assertEquals(Math.sqrt(55), clipper.globalNorm());
            assertEquals(1, clipper.clipByValue(4).elementsChanged());
        }
    }

    /** Weights are written, so that their 4 GiB become real. */
    @Test
    @Tag("thorough")
    void aStepUpdatesEveryWeight() {
        assumeTrue(availableMemory() > 2 * BYTES, "no 8 GiB of memory are free");
        List<TestBackend> levels = nativeBackends().toList();
        long weights = TestSupport.reserve(BYTES);
        try (GradientClipper clipper = levels.get(levels.size() - 1)
                .builder()
                .add(HostBuffer.wrap(memory, COUNT, DType.BFLOAT16, null))
                .weights(HostBuffer.wrap(weights, COUNT, DType.BFLOAT16, null))
                .build()) {
            for (long place : PLACES) weight(weights, place).putShort(0, Values.half(DType.BFLOAT16, 8));
            ClipResult result = clipper.step(Update.sgd(1), ClipRule.globalNorm(Double.POSITIVE_INFINITY));
            assertEquals(COUNT, result.elements());
            for (int i = 0; i < PLACES.length; i++) {
                assertEquals(
                        Values.half(DType.BFLOAT16, 8 - (i + 1)),
                        weight(weights, PLACES[i]).getShort(0));
            }
            assertEquals(0, weight(weights, (1L << 31) - 2).getShort(0));
        } finally {
            TestSupport.release(weights, BYTES);
        }
    }

    private static ByteBuffer weight(long weights, long element) {
        return NativeLevels.view(weights + 2 * element, 2).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Returns the bytes that Linux says can be had, or 0 elsewhere. */
    private static long availableMemory() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/meminfo"))) {
            return lines.filter(line -> line.startsWith("MemAvailable:"))
                    .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                    .findFirst()
                    .orElse(0);
        } catch (IOException e) {
            return 0;
        }
    }
}
