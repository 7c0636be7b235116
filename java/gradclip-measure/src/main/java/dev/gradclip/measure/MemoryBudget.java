// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/** The memory that a measurement may take of what it shares with others. */
public final class MemoryBudget {
    private MemoryBudget() {}

    /** Returns a quarter of the machine's memory, or of the container's, in bytes. */
    public static long memory() {
        return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize() / 4;
    }
}
