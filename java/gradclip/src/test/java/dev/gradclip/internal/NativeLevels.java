// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal;

import java.util.ArrayList;
import java.util.List;

/** The SIMD levels of the loaded library, for tests in other packages. */
public final class NativeLevels {
    private NativeLevels() {}

    public static List<String> names() {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < NativeCpu.usableLevels(); i++) names.add(NativeCpu.levelName(i));
        return names;
    }
}
