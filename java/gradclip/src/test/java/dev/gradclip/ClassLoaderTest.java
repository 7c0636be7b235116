// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A class loader that has loaded the library, as a server's does for each of its applications, can be collected. */
@Timeout(60)
class ClassLoaderTest {
    /** Clips in two threads, in a class loader of its own. */
    public static final class Work implements Runnable {
        @Override
        public void run() {
            for (Backend backend : Backend.values()) {
                if (backend != Backend.CUDA && backend.isAvailable()) clip(backend);
            }
            Gradients.clipByGlobalNorm(1, new float[10]);
        }

        private static void clip(Backend backend) {
            try (GradientClipper clipper = GradientClipper.builder()
                    .backend(backend)
                    .threads(2)
                    .add(HostBuffer.wrap(new float[1 << 20]))
                    .build()) {
                for (int i = 0; i < 20; i++) clipper.clipByGlobalNorm(1);
            }
        }
    }

    private static ClassLoader loader() throws IOException {
        String[] folders = ChildJvm.classPath().split(":", -1);
        URL[] urls = new URL[folders.length];
        for (int i = 0; i < urls.length; i++)
            urls[i] = Path.of(folders[i]).toUri().toURL();
        return new URLClassLoader(urls, ClassLoader.getPlatformClassLoader());
    }

    private static WeakReference<ClassLoader> used(ClassLoader loader) throws ReflectiveOperationException {
        Class<?> pool = loader.loadClass("dev.gradclip.internal.threads.SharedPool");
        Method instance = pool.getDeclaredMethod("instance");
        instance.setAccessible(true);
        Field keep = pool.getDeclaredField("keepNanos");
        keep.setAccessible(true);
        // Helper threads end after being idle for 0.1 s instead of seconds.
        keep.set(instance.invoke(null), 100_000_000L);
        Class<?> work = loader.loadClass(Work.class.getName());
        ((Runnable) work.getDeclaredConstructor().newInstance()).run();
        return new WeakReference<>(loader);
    }

    private static long mappings() throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("libgradclip.so")).count();
        }
    }

    /** The library is used from a thread that goes on living. */
    @Test
    void isCollected() throws Exception {
        WeakReference<ClassLoader> reference = used(loader());
        long mapped = mappings();
        for (int i = 0; i < 500 && reference.get() != null; i++) {
            System.gc();
            Thread.sleep(20);
        }
        assertTrue(reference.refersTo(null), "something holds the class loader");
        assertEquals(mapped, mappings(), "native code stays: threads that end later run what it left with them");
    }
}
