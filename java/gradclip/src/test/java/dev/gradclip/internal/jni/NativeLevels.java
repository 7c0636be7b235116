// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** Functions of the loaded library for tests in other packages. */
public final class NativeLevels {
    private NativeLevels() {}

    /** Returns the names of the SIMD levels. */
    public static List<String> names() {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < NativeCpu.usableLevels(); i++) names.add(NativeCpu.levelName(i));
        return names;
    }

    /** Returns a view of the memory at an address. */
    public static ByteBuffer view(long address, long bytes) {
        return NativeCpu.view(address, bytes);
    }

    /** Returns the address of a direct buffer's first byte. */
    public static long address(Buffer direct) {
        return NativeCpu.address(direct);
    }
}
