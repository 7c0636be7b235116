// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** What tests in other packages ask of the loaded library. */
public final class NativeLevels {
    private NativeLevels() {}

    /** Names of the SIMD levels. */
    public static List<String> names() {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < NativeCpu.usableLevels(); i++) names.add(NativeCpu.levelName(i));
        return names;
    }

    /** Memory at an address. */
    public static ByteBuffer view(long address, long bytes) {
        return NativeCpu.view(address, bytes);
    }

    /** Of a direct buffer's first byte. */
    public static long address(Buffer direct) {
        return NativeCpu.address(direct);
    }
}
