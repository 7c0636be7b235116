// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.NativeCuda;
import dev.gradclip.internal.jni.TestSupport;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Memory changes between steps; shapes stay. */
class RebindTest {
    static Stream<TestBackend> backends() {
        return TestBackend.all();
    }

    private static float[] floats(long seed, int n) {
        float[] x = new float[n];
        double[] values = Values.normal(seed, n, 1);
        for (int i = 0; i < n; i++) x[i] = (float) values[i];
        return x;
    }

    private static void assertRefused(Executable call, String... named) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        for (String name : named) assertTrue(message.contains(name), message);
    }

    @ParameterizedTest
    @MethodSource("backends")
    void declaredTensorsWaitForMemory(TestBackend backend) {
        float[] a = floats(1, 3000);
        try (GradientClipper clipper = backend.builder()
                        .declare("a", DType.FLOAT32, 3000)
                        .declare("b", DType.FLOAT32, 10)
                        .build();
                GradientClipper direct = backend.clipper(HostBuffer.wrap(a))) {
            assertEquals(0, clipper.globalNorm());
            backend.rebind(clipper, a, null);
            assertEquals(direct.globalNorm(), clipper.globalNorm());
            ClipResult result = clipper.clipByGlobalNorm(Double.POSITIVE_INFINITY);
            assertEquals(1, result.tensors());
            assertEquals(3000, result.elements());
            backend.rebind(clipper, null, null);
            assertEquals(0, clipper.globalNorm());
            backend.rebind(clipper, null, new float[] {3, 4, 0, 0, 0, 0, 0, 0, 0, 0});
            assertEquals(5, clipper.globalNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void arraysComeAnewEachStep(TestBackend backend) {
        try (GradientClipper clipper =
                backend.clipper(HostBuffer.wrap(new float[3000]), HostBuffer.wrap(new float[0]))) {
            for (int step = 0; step < 10; step++) {
                float[] a = floats(step, 3000);
                float[] expected = a.clone();
                HostBuffer now = backend.rebind(clipper, a, new float[0]).get(0);
                clipper.clipByGlobalNorm(1);
                HostBuffer want = HostBuffer.wrap(expected);
                try (GradientClipper fresh = backend.clipper(want)) {
                    fresh.clipByGlobalNorm(1);
                }
                assertArrayEquals(Values.bits(want), Values.bits(Objects.requireNonNull(now)));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anAbsentTensorKeepsItsPlaceInTheBits(TestBackend backend) {
        int n = 600;
        HostBuffer[] buffers = new HostBuffer[n];
        HostBuffer[] emptied = new HostBuffer[n];
        for (int i = 0; i < n; i++) {
            buffers[i] = Values.buffer(DType.FLOAT32, Values.normal(i, 100, 1));
            emptied[i] = i % 7 == 0 ? Values.buffer(DType.FLOAT32) : buffers[i];
        }
        List<@Nullable HostBuffer> some = Arrays.asList(buffers.clone());
        for (int i = 0; i < n; i += 7) some.set(i, null);
        try (GradientClipper clipper = backend.clipper(buffers);
                GradientClipper expected = backend.clipper(emptied)) {
            double all = clipper.globalNorm();
            clipper.rebind(backend.place(some));
            for (NormType type : NormContractTest.TYPES) {
                assertEquals(expected.globalNorm(type), clipper.globalNorm(type));
            }
            ClipResult result = clipper.clipPerTensorNorm(Double.POSITIVE_INFINITY);
            assertEquals(0, result.tensorNorm(7));
            assertTrue(result.tensorNorm(8) > 0);
            assertEquals(n - (n + 6) / 7, result.tensors());
            clipper.rebind(backend.place(Arrays.asList(buffers)));
            assertEquals(all, clipper.globalNorm());
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void addressesComeAnewEachStep(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "addresses need the native library");
        long memory = TestSupport.reserve(1 << 20);
        try (GradientClipper clipper = backend.builder()
                .declare("a", DType.FLOAT32, 2)
                .declare("b", DType.FLOAT64, 3)
                .build()) {
            assertRefused(() -> clipper.rebind(new long[] {memory}), "2", "1");
            clipper.rebind(new long[] {memory, 0});
            assertEquals(0, clipper.globalNorm());
            assertEquals(1, clipper.clipByValue(1).tensors());
            assertEquals(1, clipper.clipByValue(1, 1).tensors());
            assertEquals(Math.sqrt(2), clipper.globalNorm(), 1e-15);
            clipper.rebind(new long[] {memory + 3, memory + 99});
            clipper.clipByValue(3, 3);
            assertEquals(15, clipper.globalNorm(NormType.L1));
            clipper.rebind(new long[] {0, memory + 99});
            assertEquals(9, clipper.globalNorm(NormType.L1));
            double before = clipper.globalNorm();
            assertRefused(() -> clipper.rebind(new long[] {memory + 120, memory + 99}), "a", "b", "share memory");
            assertEquals(before, clipper.globalNorm());
        } finally {
            TestSupport.release(memory, 1 << 20);
        }
    }

    /** A row begins where the one before it ends, whatever its type. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void rowsOfEveryTypeAreReboundByAddress(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "addresses need the native library");
        long memory = TestSupport.reserve(1 << 20);
        try {
            for (DType dtype : DType.values()) {
                long weights = memory + (1 << 19);
                fill(dtype, memory, 3, 4, 6, 8, 0, 0, 9, 12);
                fill(dtype, weights, 1, 0, 0, 2, 2, 0, 0, 4);
                try (GradientClipper clipper = backend.builder()
                        .declare("a", dtype, 8)
                        .rows(4)
                        .weights(dtype)
                        .build()) {
                    clipper.rebind(new long[] {memory});
                    clipper.rebindWeights(new long[] {weights});
                    ClipResult result = clipper.clip(ClipRule.adaptive(1));
                    double[] norms = {5, 10, 0, 15};
                    double[] coefficients = {1.0 / 5, 2.0 / 10, 1, 4.0 / 15};
                    for (int row = 0; row < 4; row++) {
                        assertEquals(norms[row], result.rowNorm(0, row), dtype + " row " + row);
                        assertEquals(coefficients[row], result.rowCoefficient(0, row), 1e-15);
                    }
                }
            }
        } finally {
            TestSupport.release(memory, 1 << 20);
        }
    }

    /** Copies the values to an address, by the kernels that clamp. */
    private static void fill(DType dtype, long address, double... values) {
        for (int i = 0; i < values.length; i++) {
            HostBuffer element = HostBuffer.wrap(address + (long) i * dtype.bytes(), 1, dtype, null);
            try (GradientClipper clipper = GradientClipper.of(element)) {
                clipper.clipByValue(values[i], values[i]);
            }
        }
    }

    /** An earlier address of a tensor is neither its present one nor an obstacle for another tensor. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void addressesAndBuffersTakeTurns(TestBackend backend) {
        assumeTrue(Backend.NATIVE.isAvailable() && TestSupport.isLoaded(), "addresses need the native library");
        long memory = TestSupport.reserve(1 << 20);
        try (GradientClipper clipper = backend.builder()
                .declare("a", DType.FLOAT32, 1)
                .declare("b", DType.FLOAT32, 1)
                .build()) {
            fill(DType.FLOAT32, memory, 3);
            long[] addresses = {memory, 0};
            clipper.rebind(addresses);
            assertEquals(3, clipper.globalNorm());
            float[] four = {4};
            clipper.rebind(four, null);
            assertEquals(4, clipper.globalNorm());
            clipper.rebind(new float[1], null);
            clipper.rebind(Arrays.asList(HostBuffer.wrap(four), HostBuffer.wrap(memory, 1, DType.FLOAT32, null)));
            assertEquals(5, clipper.globalNorm());
            clipper.rebind(null, null);
            assertEquals(0, clipper.clipPerTensorNorm(1).tensors());
            clipper.rebind(addresses);
            assertEquals(3, clipper.globalNorm());
        } finally {
            TestSupport.release(memory, 1 << 20);
        }
    }

    /** A clipper keeps neither the memory that it was built with nor, once closed, the latest. */
    @ParameterizedTest
    @MethodSource("backends")
    void memoryThatNoTensorIsBoundToCanBeCollected(TestBackend backend) {
        List<GradientClipper> clippers = new ArrayList<>();
        WeakReference<Object> first = new WeakReference<>(builtWithAnOwner(backend, clippers));
        GradientClipper clipper = clippers.get(0);
        WeakReference<Object> second = new WeakReference<>(reboundToAnOwner(backend, clipper));
        assertCollected(first);
        assertEquals(0, clipper.globalNorm());
        assertNotNull(second.get());
        clipper.close();
        assertCollected(second);
        assertEquals(List.of("tensor 0"), clipper.names());
    }

    private static Object builtWithAnOwner(TestBackend backend, List<GradientClipper> into) {
        Object owner = new Object();
        into.add(backend.builder().add(owned(backend, owner)).build());
        return owner;
    }

    private static Object reboundToAnOwner(TestBackend backend, GradientClipper clipper) {
        Object owner = new Object();
        clipper.rebind(List.of(owned(backend, owner)));
        return owner;
    }

    private static GradientBuffer owned(TestBackend backend, Object owner) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(8).order(ByteOrder.LITTLE_ENDIAN);
        if (!backend.onDevice()) return HostBuffer.wrap(bytes, DType.FLOAT32, owner);
        DeviceBuffer memory = Placed.onDevice(HostBuffer.wrap(new float[2]));
        return DeviceBuffer.wrap(memory.address(), 2, DType.FLOAT32, List.of(owner, memory));
    }

    /** The clipper keeps memory and streams in use, even if nobody else refers to them or they are closed. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void whatIsInUseIsNotFreed(TestBackend backend) {
        try (GradientClipper clipper = backend.builder()
                .declare("dropped", DType.FLOAT32, 1 << 20)
                .declare("closed", DType.FLOAT32, 1 << 20)
                .build()) {
            long[] addresses = new long[2];
            WeakReference<Object> memory = new WeakReference<>(reboundToOwnMemory(clipper, addresses));
            WeakReference<Object> stream = new WeakReference<>(clippedOnAStream(clipper));
            // What nobody uses goes in the same collection. Free memory would tell less: others' garbage goes, too.
            assertCollected(new WeakReference<>(unusedMemory()));
            assertNotNull(memory.get(), "memory");
            assertNotNull(stream.get(), "a stream");
            for (long address : addresses) assertEquals(0, NativeCuda.deviceOf(address));
            assertEquals(0, clipper.clipByGlobalNorm(1).globalNorm());
        }
    }

    /** Binds to two new buffers, closes the second, and returns what is freed once it is collected of the first. */
    private static Object reboundToOwnMemory(GradientClipper clipper, long[] addresses) {
        DeviceBuffer dropped = DeviceBuffer.allocate(DType.FLOAT32, 1 << 20);
        DeviceBuffer closed = DeviceBuffer.allocate(DType.FLOAT32, 1 << 20);
        addresses[0] = dropped.address();
        addresses[1] = closed.address();
        clipper.rebind(List.of(dropped, closed));
        closed.close();
        return dropped.deviceMemory;
    }

    private static Object clippedOnAStream(GradientClipper clipper) {
        CudaStream stream = CudaStream.create();
        clipper.clipAsync(ClipRule.globalNorm(1), stream);
        return stream.streamHandle;
    }

    private static Object unusedMemory() {
        return DeviceBuffer.allocate(DType.FLOAT32, 1).deviceMemory;
    }

    private static void assertCollected(WeakReference<?> reference) {
        for (int i = 0; i < 50 && reference.get() != null; i++) System.gc();
        assertNull(reference.get());
    }

    /** A refused rebinding leaves nothing behind that the next one would find. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void afterARefusalAnotherTensorMoves(TestBackend backend) {
        HostBuffer[] buffers = {
            HostBuffer.wrap(new float[] {3}), HostBuffer.wrap(new float[] {4}), HostBuffer.wrap(new float[] {12})
        };
        long[] at = new long[3];
        for (int i = 0; i < 3; i++) at[i] = Placed.onDevice(buffers[i]).address();
        try (GradientClipper clipper = backend.builder()
                .declare("a", DType.FLOAT32, 1)
                .declare("b", DType.FLOAT32, 1)
                .build()) {
            clipper.rebind(new long[] {at[0], at[1]});
            assertRefused(() -> clipper.rebind(new long[] {64, at[1]}), "a ");
            clipper.rebind(new long[] {at[0], at[2]});
            assertEquals(Math.sqrt(9 + 144), clipper.globalNorm());
            assertRefused(() -> clipper.rebind(new long[] {at[1], at[1] + 1}), "b ");
            clipper.rebind(new long[] {at[0], at[1]});
            assertEquals(5, clipper.globalNorm());
            assertRefused(() -> clipper.rebind(new long[] {at[1], at[1]}), "a", "b");
            clipper.rebind(new long[] {at[0], 0});
            assertEquals(3, clipper.globalNorm());
        }
    }

    /** A tensor shares nothing with one that begins at its end, whatever else is wrong. */
    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onDevices")
    void aNeighbourIsNotBlamed(TestBackend backend) {
        try (DeviceBuffer memory = DeviceBuffer.allocate(DType.FLOAT32, 4);
                GradientClipper clipper = backend.builder()
                        .declare("a", DType.FLOAT32, 2)
                        .declare("b", DType.FLOAT32, 3)
                        .build()) {
            long at = memory.address();
            assertRefused(() -> clipper.rebind(new long[] {at, at + 8}), "b reaches beyond its device memory");
            assertRefused(() -> clipper.rebind(new long[] {at, at + 4}), "a and b share memory");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatDoesNotFitIsNamedAndNothingIsRebound(TestBackend backend) {
        HostBuffer first = Values.buffer(DType.FLOAT32, 3);
        float[] b = {4, 0};
        try (GradientClipper clipper = backend.builder()
                .add("alpha", backend.place(first))
                .add("beta", backend.place(HostBuffer.wrap(b)))
                .build()) {
            float[] other = {100};
            assertRefused(() -> backend.rebind(clipper, other), "2", "1");
            assertRefused(() -> backend.rebind(clipper, other, new float[2], new float[1]), "2", "3");
            assertRefused(() -> clipper.rebind(backend.place(List.of(HostBuffer.wrap(other)))), "2", "1");
            assertRefused(() -> backend.rebind(clipper, other, new float[3]), "beta", "3", "2");
            assertRefused(
                    () -> clipper.rebind(
                            backend.place(List.of(HostBuffer.wrap(other), HostBuffer.wrap(new double[2])))),
                    "beta",
                    "FLOAT64",
                    "FLOAT32");
            assertEquals(5, clipper.globalNorm());
            clipper.clipByGlobalNorm(1);
            assertArrayEquals(new float[] {100}, other);
            assertArrayEquals(new double[] {0.6}, Values.read(first), 1e-6);
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void piecesAreRebound(TestBackend backend) {
        float[] first = floats(1, 4096);
        HostBuffer shape = HostBuffer.ofPieces(
                HostBuffer.wrap(new float[2048]), HostBuffer.wrap(new float[2048]), HostBuffer.wrap(new float[0]));
        HostBuffer now = HostBuffer.ofPieces(
                HostBuffer.wrap(first, 2048, 2048), HostBuffer.wrap(first, 0, 2048), HostBuffer.wrap(new float[0]));
        try (GradientClipper clipper = backend.clipper(shape);
                GradientClipper expected = backend.clipper(HostBuffer.wrap(first))) {
            assertEquals(0, clipper.globalNorm());
            clipper.rebind(List.of(now));
            double norm = expected.globalNorm();
            assertEquals(norm, clipper.globalNorm(), 1e-7 * norm, "an empty last piece is no absent tensor");
            assertRefused(() -> clipper.rebind(new long[] {0}), "pieces");
            clipper.rebind(Collections.singletonList(null));
            assertEquals(0, clipper.globalNorm());
            clipper.rebind(List.of(now));
            assertEquals(norm, clipper.globalNorm(), 1e-7 * norm);
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void otherPiecesAreNamed(TestBackend backend) {
        HostBuffer pieces = HostBuffer.ofPieces(HostBuffer.wrap(new float[0]), HostBuffer.wrap(new float[2]));
        try (GradientClipper clipper =
                backend.builder().add("beta", HostBuffer.wrap(new float[2])).build()) {
            assertRefused(() -> clipper.rebind(List.of(pieces)), "beta", "pieces");
        }
    }

    @ParameterizedTest
    @MethodSource("dev.gradclip.TestBackend#onHost")
    void anArrayThatWasOnlyTheFirstPieceIsRefused(TestBackend backend) {
        float[] array = new float[4096];
        HostBuffer pieces =
                HostBuffer.ofPieces(HostBuffer.wrap(array, 0, 2048), HostBuffer.wrap(new float[4096], 0, 2048));
        try (GradientClipper clipper = backend.clipper(pieces)) {
            assertRefused(() -> clipper.rebind(array), "pieces");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void arraysMayTradePlaces(TestBackend backend) {
        float[] a = {3, 0};
        float[] b = {0, 4};
        try (GradientClipper clipper = backend.clipper(HostBuffer.wrap(a), HostBuffer.wrap(b))) {
            backend.rebind(clipper, b, a);
            ClipResult result = clipper.clipPerTensorNorm(Double.POSITIVE_INFINITY);
            assertEquals(4, result.tensorNorm(0));
            assertEquals(3, result.tensorNorm(1));
        }
    }
}
