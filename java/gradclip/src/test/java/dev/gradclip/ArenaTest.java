// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.EmulatedCuda;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Buffers over memory segments, by reflection for JDKs without them: closable memory is refused. */
class ArenaTest {
    @BeforeEach
    void needsArenas() {
        assumeTrue(Runtime.version().feature() >= 22, "this JDK has no arenas");
    }

    private static Object arena(String factory) {
        try {
            return Class.forName("java.lang.foreign.Arena").getMethod(factory).invoke(null);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(factory, e);
        }
    }

    private static FloatBuffer threeFour(Object arena) {
        try {
            Method allocate = Class.forName("java.lang.foreign.Arena").getMethod("allocate", long.class, long.class);
            Object segment = allocate.invoke(arena, 8L, 8L);
            Object buffer = Class.forName("java.lang.foreign.MemorySegment")
                    .getMethod("asByteBuffer")
                    .invoke(segment);
            return ((ByteBuffer) buffer)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .asFloatBuffer()
                    .put(0, 3)
                    .put(1, 4);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("allocate", e);
        }
    }

    private static void assertRefused(String name, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(String.valueOf(message).startsWith(name + " is in memory of an Arena"), message);
        assertTrue(String.valueOf(message).contains("Arena.ofAuto()"), message);
    }

    static Stream<TestBackend> onHost() {
        return TestBackend.onHost();
    }

    @ParameterizedTest
    @MethodSource("onHost")
    void memoryThatCanBeFreedIsRefusedByName(TestBackend backend) {
        for (String factory : List.of("ofConfined", "ofShared")) {
            Object arena = arena(factory);
            HostBuffer first = HostBuffer.wrap(threeFour(arena));
            FloatBuffer bytes = threeFour(arena);
            HostBuffer part = HostBuffer.wrap(bytes.slice(1, 1));
            assertRefused("w", () -> backend.builder().add("w", first).build());
            assertRefused("w", () -> backend.builder().add("w", part).build());
            assertRefused(
                    "the parameter of w",
                    () -> backend.builder()
                            .add("w", HostBuffer.wrap(new float[2]))
                            .weights(first)
                            .build());
            float[] gradient = {3, 4};
            try (GradientClipper clipper = backend.builder()
                    .add("w", HostBuffer.wrap(gradient))
                    .declare("v", DType.FLOAT32, 2)
                    .build()) {
                assertRefused("v", () -> clipper.rebind(List.of(HostBuffer.wrap(gradient), first)));
                assertEquals(5, clipper.globalNorm(), "nothing was rebound");
            }
        }
    }

    /** Memory of a closed arena is not even read. */
    @ParameterizedTest
    @MethodSource("onHost")
    void memoryThatWasFreedIsRefused(TestBackend backend) throws ReflectiveOperationException {
        Object arena = arena("ofShared");
        HostBuffer buffer = HostBuffer.wrap(threeFour(arena));
        Class.forName("java.lang.foreign.Arena").getMethod("close").invoke(arena);
        assertRefused("w", () -> backend.builder().add("w", buffer).build());
    }

    @ParameterizedTest
    @ValueSource(strings = {"ofConfined", "ofShared"})
    void pieces(String factory) {
        HostBuffer piece = HostBuffer.wrap(threeFour(arena(factory)));
        try (StreamingNorm norm = StreamingNorm.of(NormType.L2, Backend.preferred(), 1)) {
            assertRefused("the piece", () -> norm.add(piece));
        }
        for (NonFinitePolicy policy : List.of(NonFinitePolicy.PROPAGATE, NonFinitePolicy.ZERO)) {
            try (StreamingClip clip =
                    StreamingClip.of(ClipRule.globalNorm(1).withNonFinitePolicy(policy), Backend.preferred(), 1)) {
                assertRefused("the piece", () -> clip.measure(piece));
                clip.measure(HostBuffer.wrap(new float[] {3, 4}));
                clip.endTensor("w");
                clip.decide();
                assertRefused("the piece", () -> clip.apply(0, piece));
            }
        }
    }

    @Test
    void copiesToAndFromADevice() {
        assumeTrue(EmulatedCuda.isLoaded(), "the emulated device is not built");
        HostBuffer host = HostBuffer.wrap(threeFour(arena("ofShared")));
        try (DeviceBuffer device = DeviceBuffer.allocate(DType.FLOAT32, 2)) {
            assertRefused("the host buffer", () -> device.copyFrom(host));
            assertRefused("the host buffer", () -> device.copyTo(host));
        }
    }

    @ParameterizedTest
    @MethodSource("onHost")
    void memoryThatNobodyCanFreeIsClipped(TestBackend backend) {
        List<FloatBuffer> buffers = List.of(
                threeFour(arena("ofAuto")),
                threeFour(arena("global")),
                ByteBuffer.allocateDirect(8)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .asFloatBuffer()
                        .put(0, 3)
                        .put(1, 4));
        GradientClipperBuilder builder = backend.builder();
        for (FloatBuffer buffer : buffers) builder.add(HostBuffer.wrap(buffer));
        try (GradientClipper clipper = builder.build()) {
            assertEquals(Math.sqrt(75), clipper.clipByGlobalNorm(1e-3).globalNorm());
        }
        for (FloatBuffer buffer : buffers) assertTrue(buffer.get(0) < 1e-3f && buffer.get(0) > 0);
    }

    /** Wrapping the address, as the message advises, is allowed. */
    @Test
    void anAddressIsTheCallersToKeep() throws ReflectiveOperationException {
        assumeTrue(Backend.NATIVE.isAvailable());
        Object arena = arena("ofShared");
        Object segment = Class.forName("java.lang.foreign.Arena")
                .getMethod("allocate", long.class)
                .invoke(arena, 8L);
        Object address = Class.forName("java.lang.foreign.MemorySegment")
                .getMethod("address")
                .invoke(segment);
        HostBuffer buffer = HostBuffer.wrap((Long) address, 2, DType.FLOAT32, arena);
        try (GradientClipper clipper = GradientClipper.of(buffer)) {
            assertEquals(0, clipper.globalNorm());
        }
        Class.forName("java.lang.foreign.Arena").getMethod("close").invoke(arena);
    }
}
