# SPDX-License-Identifier: Apache-2.0
"""What translate.py refuses, and that it says where."""
import os
import subprocess
import sys
import tempfile
import unittest

TRANSLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "translate.py")
PTX = """.version 9.0
.target sm_90
.address_size 64
.entry someKernel(
	.param .align 8 .b8 someKernel_param_0[8]
)
{
	.reg .f32 	%f<4>;
	.reg .b64 	%rd<2>;
	ld.param.u64 	%rd1, [someKernel_param_0];
	INSTRUCTION
	ret;
}
"""


class TranslateTest(unittest.TestCase):
    def translate(self, instruction, *options):
        with tempfile.TemporaryDirectory() as folder:
            source, target = os.path.join(folder, "k.ptx"), os.path.join(folder, "k.cpp")
            with open(source, "w", encoding="ascii") as file:
                file.write(PTX.replace("INSTRUCTION", instruction))
            done = subprocess.run([sys.executable, TRANSLATE, *options, source, target], capture_output=True, text=True, check=False)
            text = ""
            if done.returncode == 0:
                with open(target, encoding="ascii") as file:
                    text = file.read()
            return done.returncode, done.stderr, text

    def test_what_is_read_volatile_is_polled(self):
        code, _, text = self.translate("ld.volatile.global.u32 %f1, [%rd1];")
        self.assertEqual(code, 0)
        self.assertIn("poll_global(", text)
        self.assertNotEqual(self.translate("ld.volatile.global.u64 %rd1, [%rd1];")[0], 0)

    def test_unknown_instructions_are_named_with_their_line(self):
        for instruction in ("tanh.approx.f32 %f1, %f2;", "add.rn.ftz.f32 %f1, %f2, %f3;", "ld.global.ca.u64 %rd1, [%rd1];",
                            "mov.u32 %f1, %clock;", "st.surface.u64 [%rd1], %rd1;"):
            code, message, _ = self.translate(instruction)
            self.assertNotEqual(code, 0, instruction)
            self.assertIn("k.ptx:11: " + instruction.rstrip(";"), message)

    def test_what_may_be_contracted_is_refused(self):
        code, message, _ = self.translate("add.f32 %f1, %f2, %f3;")
        self.assertNotEqual(code, 0)
        self.assertIn("contracted", message)
        code, _, text = self.translate("add.f32 %f1, %f2, %f3;", "--contracted")
        self.assertEqual(code, 0)
        self.assertIn("add_rn<float>", text)

    def test_a_kernel_is_registered_under_its_name_with_the_size_of_its_parameters(self):
        code, _, text = self.translate("add.rn.f32 %f1, %f2, %f3;")
        self.assertEqual(code, 0)
        self.assertIn('asm("someKernel")', text)
        self.assertIn(', 8, "someKernel")', text)


if __name__ == "__main__":
    unittest.main()
