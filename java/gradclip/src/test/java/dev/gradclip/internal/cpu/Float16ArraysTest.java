// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.gradclip.internal.jni.TestSupport;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The class for Java 21 and newer against {@link Half}: the same bits, interpreted, compiled and while flushing. */
class Float16ArraysTest {
    private static final Path SOURCE = Path.of("src/main/java21/dev/gradclip/internal/cpu/Float16Arrays.java");
    /** Calls until the method is compiled by the last compiler, with some to spare. */
    private static final int CALLS = 600;

    private static final int N = 4096;

    @TempDir
    Path classes;

    private URLClassLoader loader;
    private Method toFloats;
    private Method toHalves;

    /** Compiles it here, because a build with JDK 17 has left it out. */
    @BeforeEach
    void compile() throws Exception {
        assumeTrue(Runtime.version().feature() >= 21, "this JVM never loads the class");
        Optional<ToolProvider> javac = ToolProvider.findFirst("javac");
        assumeTrue(javac.isPresent(), "this is no JDK");
        StringWriter said = new StringWriter();
        PrintWriter to = new PrintWriter(said);
        int failed = javac.get().run(to, to, "--release", "21", "-d", classes.toString(), SOURCE.toString());
        assertEquals(0, failed, said::toString);
        loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, null);
        Class<?> type = loader.loadClass("dev.gradclip.internal.cpu.Float16Arrays");
        toFloats = type.getDeclaredMethod("toFloats", short[].class, float[].class, int.class);
        toHalves = type.getDeclaredMethod("toHalves", float[].class, short[].class, int.class);
        toFloats.setAccessible(true);
        toHalves.setAccessible(true);
    }

    @AfterEach
    void close() throws Exception {
        if (loader != null) loader.close();
        if (TestSupport.isLoaded()) TestSupport.flushToZero(false);
    }

    @Test
    void everyHalfWidensAlikeAndComesBack() throws Exception {
        short[] halves = new short[65536];
        for (int i = 0; i < halves.length; i++) halves[i] = (short) i;
        float[] floats = new float[halves.length];
        short[] back = new short[halves.length];
        for (int call = 0; call < CALLS; call++) {
            if (call == CALLS / 2 && TestSupport.isLoaded()) TestSupport.flushToZero(true);
            toFloats.invoke(null, halves, floats, halves.length);
            toHalves.invoke(null, floats, back, halves.length);
            if (call % 50 != 0 && call != CALLS - 1) continue;
            for (int i = 0; i < halves.length; i++) {
                // Which NaN a NaN becomes is up to the processor, and is seen nowhere: each is written as 0x7fff.
                float expected = Half.float16ToFloat((short) i);
                if (Float.isNaN(expected)) assertTrue(Float.isNaN(floats[i]));
                else assertEquals(Float.floatToRawIntBits(expected), Float.floatToRawIntBits(floats[i]));
                assertEquals(Half.floatToFloat16(expected), back[i]);
            }
        }
    }

    /** The floats around each half and each middle of two, infinities, NaNs with any bits, and random ones. */
    @Test
    void floatsRoundAlike() throws Exception {
        float[] floats = new float[6 * 65536 + 200_000];
        int n = 0;
        Random random = new Random(1);
        for (int bits = 0; bits < 65536; bits++) {
            int half = Float.floatToRawIntBits(Half.float16ToFloat((short) bits));
            int middle = half + 0x1000;
            for (int each : new int[] {half - 1, half, half + 1, middle - 1, middle, middle + 1}) {
                floats[n++] = Float.intBitsToFloat(each);
            }
        }
        while (n < floats.length) floats[n++] = Float.intBitsToFloat(random.nextInt());
        float[] some = new float[N];
        short[] halves = new short[N];
        for (int call = 0; call < CALLS; call++) {
            if (call == CALLS / 2 && TestSupport.isLoaded()) TestSupport.flushToZero(true);
            int from = (int) ((long) call * N % (floats.length - N));
            System.arraycopy(floats, from, some, 0, N);
            toHalves.invoke(null, some, halves, N);
            for (int i = 0; i < N; i++) {
                float value = floats[from + i];
                assertEquals(Half.floatToFloat16(value), halves[i], () -> "of " + value);
            }
        }
    }

    /** Elements after the first {@code n} are left alone. */
    @Test
    void convertsNoMoreThanAsked() throws Exception {
        for (int n : new int[] {0, 1, 13, 207, 4095}) {
            short[] halves = new short[N];
            float[] floats = new float[N];
            Arrays.fill(halves, (short) 0x3c00);
            toFloats.invoke(null, halves, floats, n);
            for (int i = 0; i < N; i++) assertEquals(i < n ? 1f : 0f, floats[i]);
            Arrays.fill(floats, Float.NaN);
            toHalves.invoke(null, floats, halves, n);
            for (int i = 0; i < N; i++) assertEquals(i < n ? 0x7fff : 0x3c00, halves[i]);
        }
    }
}
