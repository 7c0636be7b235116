// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.lang.reflect.Method;

/** What threads other than the caller's do for it; for the tests of adapters too. */
public final class HelperThreads {
    private HelperThreads() {}

    /** Milliseconds of processor time that all threads of this library, its own and OpenMP's, spend during work. */
    public static double millis(Runnable work) {
        double before = spent();
        work.run();
        return spent() - before;
    }

    /** Through reflection, for a module that does not read java.management. */
    private static double spent() {
        try {
            Object bean = Class.forName("java.lang.management.ManagementFactory")
                    .getMethod("getThreadMXBean")
                    .invoke(null);
            Method time = Class.forName("java.lang.management.ThreadMXBean").getMethod("getThreadCpuTime", long.class);
            double millis = 0;
            for (Thread thread : Thread.getAllStackTraces().keySet()) {
                if (thread == Thread.currentThread() || !thread.getName().matches("gradclip-(\\d+|openmp)")) continue;
                if (time.invoke(bean, thread.getId()) instanceof Long nanos && nanos > 0) millis += nanos / 1e6;
            }
            return millis;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
