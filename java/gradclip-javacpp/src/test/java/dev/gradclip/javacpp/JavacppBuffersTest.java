// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.DType;
import dev.gradclip.GradientClipper;
import dev.gradclip.HostBuffer;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Pointers as buffers: the memory between position and limit, and nothing else. */
@ExtendWith(Torch.class)
class JavacppBuffersTest {
    private static Stream<Backend> backends() {
        return Stream.of(Backend.JAVA, Backend.NATIVE).filter(Backend::isAvailable);
    }

    private static double clip(Backend backend, HostBuffer buffer, double maxNorm) {
        try (GradientClipper clipper = GradientClipper.builder()
                .backend(backend)
                .add("gradient", buffer)
                .build()) {
            return clipper.clipByGlobalNorm(maxNorm).globalNorm();
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void positionAndLimitSayWhatIsClipped(Backend backend) {
        FloatPointer pointer = new FloatPointer(9, 3, 4, 9);
        assertEquals(5, clip(backend, JavacppBuffers.wrap(pointer.position(1).limit(3)), 2.5));
        pointer.position(0).limit(4);
        assertEquals(9, pointer.get(0));
        assertEquals(1.5f, pointer.get(1), 1e-6f);
        assertEquals(2, pointer.get(2), 1e-6f);
        assertEquals(9, pointer.get(3));
    }

    @ParameterizedTest
    @MethodSource("backends")
    void otherElementTypes(Backend backend) {
        assertEquals(5, clip(backend, JavacppBuffers.wrap(new DoublePointer(3, 4)), 1));
        ShortPointer ones = new ShortPointer((short) 0x3c00, (short) 0x3c00, (short) 0x3c00, (short) 0x3c00);
        assertEquals(2, clip(backend, JavacppBuffers.wrap(ones, DType.FLOAT16), 1));
        assertEquals(0x3800, ones.get(0));
        BytePointer bytes = new BytePointer(new byte[] {7, 0, 0, (byte) 0x80, 0x3f, 7});
        assertEquals(1, clip(backend, JavacppBuffers.wrap(bytes.position(1).limit(5), DType.FLOAT32), 9));
    }

    @Test
    void anEmptyRange() {
        FloatPointer pointer = new FloatPointer(1, 2);
        assertEquals(0, JavacppBuffers.wrap(pointer.position(2)).length());
    }

    @Test
    void thePointerStaysReachable() {
        List<HostBuffer> kept = new ArrayList<>();
        WeakReference<Pointer> pointer = wrapNew(kept);
        for (int i = 0; i < 5; i++) System.gc();
        assertNotNull(pointer.get());
        assertEquals(2, kept.get(0).length());
    }

    private static WeakReference<Pointer> wrapNew(List<HostBuffer> into) {
        FloatPointer pointer = new FloatPointer(3, 4);
        into.add(JavacppBuffers.wrap(pointer));
        return new WeakReference<>(pointer);
    }

    @Test
    void whatIsNotMemoryOfElementsIsRefused() {
        assertRefused(() -> JavacppBuffers.wrap(new FloatPointer((Pointer) null)), "null");
        assertRefused(() -> JavacppBuffers.wrap(new FloatPointer(2), DType.FLOAT64), "FLOAT64 has 8");
        assertRefused(() -> JavacppBuffers.wrap(new BytePointer(6), DType.FLOAT32), "6 bytes");
        try (FloatPointer owned = new FloatPointer(4)) {
            FloatPointer unbounded = new FloatPointer(new Pointer(owned)).limit(0);
            assertRefused(() -> JavacppBuffers.wrap(unbounded), "capacity(elements)");
        }
    }

    private static void assertRefused(Executable call, String said) {
        String message = String.valueOf(
                assertThrows(IllegalArgumentException.class, call).getMessage());
        assertTrue(message.contains(said), message);
    }

    @Test
    void anAddressAndItsOwner() {
        FloatPointer memory = new FloatPointer(3f, 4f, 9f);
        HostBuffer two = JavacppBuffers.wrap(memory.address(), 8, DType.FLOAT32, memory);
        try (GradientClipper clipper = GradientClipper.of(two)) {
            assertEquals(5, clipper.globalNorm());
        }
        String said = String.valueOf(assertThrows(
                        IllegalArgumentException.class,
                        () -> JavacppBuffers.wrap(memory.address(), 7, DType.FLOAT32, memory))
                .getMessage());
        assertTrue(said.contains("7 bytes") && said.contains("FLOAT32"), said);
    }
}
