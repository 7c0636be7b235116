// SPDX-License-Identifier: Apache-2.0
/** Works on elements on the CPU: {@link dev.gradclip.internal.cpu.CpuPlan} hands tiles to plain Java or native code. */
@NullMarked
package dev.gradclip.internal.cpu;

import org.jspecify.annotations.NullMarked;
