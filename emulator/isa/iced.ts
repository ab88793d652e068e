/** The one place that loads the iced-x86 decoder: decoding and disassembly are its business, never ours. */
import iced from 'iced-x86';

export type { Decoder, Instruction as IcedInstruction } from 'iced-x86';
export const {
  Code,
  CodeSize,
  CpuidFeature,
  EncodingKind,
  Decoder: IcedDecoder,
  DecoderError,
  DecoderOptions,
  Mnemonic,
  OpKind,
  Register,
  MemorySizeExt,
  FlowControl,
  Formatter,
  FormatterSyntax,
} = iced;
export const { Encoder: IcedEncoder } = iced;
