import { decodeCharset, decodeUtf8 } from './charset.ts';

export interface CharsetGuess {
  /** as `decodeText` names it */
  charset: string;
  /** 0 to 1: 1 for UTF-8 and plain ASCII, 0.5 and more where most characters are common ones of the language */
  confidence: number;
}

/** Octets that are looked at. */
const sampleOctetsMax = 8192;

// The characters that running text has most of: half of any page is made of these.
const simplified =
  '的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔您请谢谢邮件附件收到';
const traditional =
  '的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽白卻界達光放強即像難且權思王象完設式色路記南品住告類求據程北邊死張該交規萬取拉格望覺術領共確傳師觀清今切院讓識候帶導爭運筆您請謝謝郵件附件收到';
const korean =
  '이다는의에가을를은고하지로한도기사서있그나리자시어해인대라정일전수들만부보조과주장원으성여구상아게면제유우안동거것소적국연공비무미세스관식모신생경요드위금계도오감합니습까문방중';
// Not the half-width ones: the octets of any Chinese text are some of them.
const kana = /[\u3041-\u30fe]/;
const punctuation = /[，。、：；？！「」『』（）《》“”…　]/;

const commonSimplified = new Set(simplified);
const commonTraditional = new Set(traditional);
const commonKorean = new Set(korean);

const candidates: readonly (readonly [charset: string, isCommon: (char: string) => boolean])[] = [
  ['gb18030', (char) => commonSimplified.has(char) || punctuation.test(char)],
  ['big5', (char) => commonTraditional.has(char) || punctuation.test(char)],
  ['shift_jis', (char) => kana.test(char) || punctuation.test(char)],
  ['euc-jp', (char) => kana.test(char) || punctuation.test(char)],
  ['uhc', (char) => commonKorean.has(char)],
];

const isCommonAnywhere = (char: string): boolean =>
  commonSimplified.has(char) ||
  commonTraditional.has(char) ||
  commonKorean.has(char) ||
  kana.test(char) ||
  punctuation.test(char);

/** Which of the characters beyond ASCII are among the most common of an East Asian language: 0 to 1. */
export const commonShare = (text: string): number => {
  let wide = 0;
  let common = 0;
  for (const char of text.slice(0, sampleOctetsMax)) {
    if (char <= '\u007f') continue;
    wide++;
    if (isCommonAnywhere(char)) common++;
  }
  return wide === 0 ? 0 : common / wide;
};

/** Charsets whose octets are ASCII, by what they begin with. */
const stateful: readonly (readonly [charset: string, sign: RegExp])[] = [
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC, SO and SI are the charsets' own
  ['iso-2022-kr', /\x1b\$\)C/],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the same
  ['iso-2022-cn', /\x1b\$\)[AEG]|\x1b\$\*H/],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the same
  ['iso-2022-jp', /\x1b\$[@B]|\x1b\$\(D/],
];

/** Pairs of GB 2312 between `~{` and `~}`. */
const hzSign = /~\{(?:[!-w][!-~]){1,500}~\}/;

/**
 * The charset of octets that say nothing about it, or something that can't be. East Asian text is told by how many of its
 * characters are among the most common of its language; anything else that is not UTF-8 is windows-1252 with little confidence.
 */
export const guessCharset = (octets: Uint8Array): CharsetGuess => {
  const sample = octets.subarray(0, sampleOctetsMax);
  const asOctets = Buffer.from(sample).toString('latin1');
  if (/^(?:\xff\xfe|\xfe\xff)/.test(asOctets) && sample.length % 2 === 0) {
    return { charset: 'utf-16be', confidence: 0.95 };
  }
  for (const [charset, sign] of stateful) if (sign.test(asOctets)) return { charset, confidence: 1 };
  if (hzSign.test(asOctets) && commonShare(decodeCharset(sample, 'hz-gb-2312')) >= guessConfidenceMin) {
    return { charset: 'hz-gb-2312', confidence: 0.9 };
  }
  // A sample may end inside a character.
  for (let cut = 0; cut < 4 && cut <= sample.length; cut++) {
    if (cut > 0 && sample.length === octets.length) break;
    if (decodeUtf8(sample.subarray(0, sample.length - cut)) !== null)
      return { charset: 'utf-8', confidence: 1 };
  }
  let best: CharsetGuess = { charset: 'windows-1252', confidence: 0.1 };
  for (const [charset, isCommon] of candidates) {
    const text = decodeCharset(sample, charset);
    let wide = 0;
    let common = 0;
    let wrong = 0;
    for (const char of text) {
      if (char <= '\u007f') continue;
      wide++;
      if (char === '\ufffd' || (char >= '\ue000' && char <= '\uf8ff')) wrong++;
      else if (isCommon(char)) common++;
    }
    const cutOff = sample.length < octets.length ? 1 : 0;
    if (wide === 0 || (wrong - cutOff) * 50 > wide || (wide < 2 && common === 0)) continue;
    // One or two characters tell less than a sentence.
    const confidence = Math.min(0.99, (common / wide) * 1.2) * Math.min(1, 0.6 + wide / 20);
    if (confidence >= guessConfidenceMin && confidence > best.confidence) {
      best = { charset, confidence };
    }
  }
  return best;
};

/** Below that a guess is no better than none. */
const guessConfidenceMin = 0.3;
