// SPDX-License-Identifier: Apache-2.0
/**
 * Gradient clipping on the CPU and on CUDA devices, with the same bits everywhere.
 *
 * <p><b>Start here.</b> {@link dev.gradclip.Gradients} clips arrays in one line. A training loop binds its gradients
 * once to a {@link dev.gradclip.GradientClipper} and clips them each step; {@link dev.gradclip.Clipper} has the verbs
 * that it shares with the clippers of frameworks. Gradients that do not fit in memory pass through a
 * {@link dev.gradclip.StreamingClip}.
 *
 * <p><b>Where gradients are.</b> A {@link dev.gradclip.GradientBuffer} is memory that is clipped in place: a
 * {@link dev.gradclip.HostBuffer} over arrays, buffers and addresses, or a {@link dev.gradclip.DeviceBuffer} on a CUDA
 * device, each of one {@link dev.gradclip.DType}. A {@link dev.gradclip.Backend} does the work there.
 *
 * <p><b>What a clip does.</b> A {@link dev.gradclip.ClipRule} is a value: a {@link dev.gradclip.NormRule} of a
 * {@link dev.gradclip.Scope}, a {@link dev.gradclip.NormType} and a {@link dev.gradclip.Convention}; a
 * {@link dev.gradclip.ValueRule}; or a {@link dev.gradclip.GroupRule} with a rule for each group.
 * {@link dev.gradclip.NonFinitePolicy} says what happens at a NaN or an infinity. A {@link dev.gradclip.PreparedClip}
 * is a rule made ready for one clipper, and a {@link dev.gradclip.PreparedStep} an update and a rule.
 *
 * <p><b>What it found.</b> Each clip returns a {@link dev.gradclip.ClipResult}; a {@link dev.gradclip.ClipListener}
 * receives a {@link dev.gradclip.ClipEvent} for each, and {@link dev.gradclip.NormHistory} keeps the norms of the
 * latest. {@link dev.gradclip.DynamicLossScaler} chooses the loss scale of mixed precision by the results.
 *
 * <p><b>On a device.</b> Clips are enqueued on a {@link dev.gradclip.CudaStream}, captured into a
 * {@link dev.gradclip.CudaGraph} as a {@link dev.gradclip.CapturedClip} or {@link dev.gradclip.CapturedStep}, and can
 * take a {@link dev.gradclip.DeviceNorm} that the host never sees.
 *
 * <p>Adapters to frameworks are built on {@link dev.gradclip.adapter}. docs/architecture.md draws how the parts fit
 * together.
 *
 * @since 0.1.0
 */
@NullMarked
package dev.gradclip;

import org.jspecify.annotations.NullMarked;
