// SPDX-License-Identifier: Apache-2.0
#include "generate/detail/codes.hpp"

#include <array>

#include "generate/detail/city.hpp"

namespace meridian::generate {
namespace {

constexpr Code loinc(std::string_view code, std::string_view en, std::string_view zh) {
    return {systems::loinc, code, en, zh};
}
constexpr Code icd(std::string_view code, std::string_view en, std::string_view zh) {
    return {systems::icd10, code, en, zh};
}
constexpr Code sct(std::string_view code, std::string_view en) {
    return {systems::snomed, code, en, {}};
}

// Limits: WS/T 405-2012 (blood count), WS/T 404 series (chemistry), NCCN/ADA/KDIGO cut-offs for
// HbA1c, lipids and UACR, rounded as laboratories print them.
constexpr Lab labs[lab_count] = {
    {loinc("6690-2", "Leukocytes in blood", "白细胞计数"), "10*9/L", 1, 3.5, 9.5, 3.5, 9.5},
    {loinc("789-8", "Erythrocytes in blood", "红细胞计数"), "10*12/L", 2, 4.3, 5.8, 3.8, 5.1},
    {loinc("718-7", "Hemoglobin in blood", "血红蛋白"), "g/L", 0, 130, 175, 115, 150, "718-7",
     "g/dL", 0.1, 1},
    {loinc("4544-3", "Hematocrit of blood", "红细胞压积"), "%", 1, 40, 50, 35, 45},
    {loinc("777-3", "Platelets in blood", "血小板计数"), "10*9/L", 0, 125, 350, 125, 350},
    {loinc("14771-0", "Fasting glucose in serum or plasma", "空腹血糖"), "mmol/L", 1, 3.9, 6.1, 3.9,
     6.1, "1558-6", "mg/dL", 18.016, 0},
    {loinc("4548-4", "Hemoglobin A1c in blood", "糖化血红蛋白"), "%", 1, 4.0, 6.0, 4.0, 6.0},
    {loinc("14682-9", "Creatinine in serum or plasma", "血肌酐"), "umol/L", 0, 57, 97, 41, 73,
     "2160-0", "mg/dL", 1 / 88.42, 2},
    {loinc("62238-1", "Estimated GFR by CKD-EPI", "估算肾小球滤过率"), "mL/min/{1.73_m2}", 0, 90,
     -1, 90, -1},
    {loinc("22664-7", "Urea in serum or plasma", "尿素"), "mmol/L", 1, 3.1, 8.0, 2.6, 7.5, "3094-0",
     "mg/dL", 2.801, 0},
    {loinc("14933-6", "Urate in serum or plasma", "尿酸"), "umol/L", 0, 208, 428, 155, 357,
     "3084-1", "mg/dL", 1 / 59.48, 1},
    {loinc("2823-3", "Potassium in serum or plasma", "血钾"), "mmol/L", 1, 3.5, 5.3, 3.5, 5.3},
    {loinc("2951-2", "Sodium in serum or plasma", "血钠"), "mmol/L", 0, 137, 147, 137, 147},
    {loinc("2075-0", "Chloride in serum or plasma", "血氯"), "mmol/L", 0, 99, 110, 99, 110},
    {loinc("2000-8", "Calcium in serum or plasma", "血钙"), "mmol/L", 2, 2.11, 2.52, 2.11, 2.52,
     "17861-6", "mg/dL", 4.008, 1},
    {loinc("14879-1", "Phosphate in serum or plasma", "血磷"), "mmol/L", 2, 0.85, 1.51, 0.85, 1.51,
     "2777-1", "mg/dL", 3.097, 1},
    {loinc("1751-7", "Albumin in serum or plasma", "白蛋白"), "g/L", 1, 40, 55, 40, 55, "1751-7",
     "g/dL", 0.1, 1},
    {loinc("1742-6", "Alanine aminotransferase in serum or plasma", "丙氨酸氨基转移酶"), "U/L", 0,
     9, 50, 7, 40},
    {loinc("1920-8", "Aspartate aminotransferase in serum or plasma", "天门冬氨酸氨基转移酶"),
     "U/L", 0, 15, 40, 13, 35},
    {loinc("14631-6", "Bilirubin in serum or plasma", "总胆红素"), "umol/L", 1, -1, 26, -1, 21,
     "1975-2", "mg/dL", 1 / 17.1, 1},
    {loinc("14647-2", "Cholesterol in serum or plasma", "总胆固醇"), "mmol/L", 2, -1, 5.2, -1, 5.2,
     "2093-3", "mg/dL", 38.67, 0},
    {loinc("22748-8", "LDL cholesterol in serum or plasma", "低密度脂蛋白胆固醇"), "mmol/L", 2, -1,
     3.4, -1, 3.4, "2089-1", "mg/dL", 38.67, 0},
    {loinc("14646-4", "HDL cholesterol in serum or plasma", "高密度脂蛋白胆固醇"), "mmol/L", 2, 1.0,
     -1, 1.0, -1, "2085-9", "mg/dL", 38.67, 0},
    {loinc("14927-8", "Triglyceride in serum or plasma", "甘油三酯"), "mmol/L", 2, -1, 1.7, -1, 1.7,
     "2571-8", "mg/dL", 88.57, 0},
    {loinc("1988-5", "C reactive protein in serum or plasma", "C反应蛋白"), "mg/L", 1, -1, 8, -1,
     8},
    {loinc("2731-8", "Parathyrin intact in serum or plasma", "全段甲状旁腺素"), "pg/mL", 0, 15, 65,
     15, 65},
    {loinc("2276-4", "Ferritin in serum or plasma", "铁蛋白"), "ng/mL", 0, 30, 400, 13, 150},
    {loinc("9318-7", "Albumin/creatinine in urine", "尿白蛋白肌酐比"), "mg/g", 0, -1, 30, -1, 30},
    {loinc("2039-6", "Carcinoembryonic antigen in serum or plasma", "癌胚抗原"), "ng/mL", 2, -1, 5,
     -1, 5},
    {loinc("6875-9", "Cancer antigen 15-3 in serum or plasma", "糖类抗原15-3"), "U/mL", 1, -1, 25,
     -1, 25},
    {loinc("24108-3", "Cancer antigen 19-9 in serum or plasma", "糖类抗原19-9"), "U/mL", 1, -1, 37,
     -1, 37},
    {loinc("15060-7", "Enolase neuron specific in serum or plasma", "神经元特异性烯醇化酶"),
     "ng/mL", 1, -1, 16.3, -1, 16.3},
    {loinc("3016-3", "Thyrotropin in serum or plasma", "促甲状腺激素"), "m[IU]/L", 2, 0.35, 4.94,
     0.35, 4.94},
};

constexpr LabId cbc_labs[] = {lab_wbc, lab_hemoglobin, lab_platelet};
constexpr LabId renal_labs[] = {lab_creatinine, lab_egfr,      lab_urea,
                                lab_urate,      lab_potassium, lab_sodium};
constexpr LabId lipid_labs[] = {lab_cholesterol, lab_ldl, lab_hdl, lab_triglyceride};
constexpr LabId liver_labs[] = {lab_albumin, lab_alt, lab_ast, lab_bilirubin};
constexpr LabId diabetes_labs[] = {lab_glucose, lab_hba1c};
constexpr LabId metabolic_labs[] = {lab_glucose, lab_creatinine, lab_egfr,    lab_potassium,
                                    lab_sodium,  lab_chloride,   lab_albumin, lab_alt};
constexpr LabId lung_markers[] = {lab_cea, lab_nse};
constexpr LabId breast_markers[] = {lab_cea, lab_ca153};
constexpr LabId bowel_markers[] = {lab_cea, lab_ca199};
constexpr LabId mineral_labs[] = {lab_calcium, lab_phosphate, lab_pth, lab_ferritin};

constexpr Panel panels[panel_count] = {
    {loinc("58410-2", "Complete blood count panel", "血常规"), cbc_labs, 2000},
    {loinc("24362-6", "Renal function panel", "肾功能"), renal_labs, 4200},
    {loinc("24331-1", "Lipid panel", "血脂"), lipid_labs, 4000},
    {loinc("24325-3", "Hepatic function panel", "肝功能"), liver_labs, 3600},
    {{systems::service, "panel-diabetes", "Diabetes panel", "糖代谢"}, diabetes_labs, 7000},
    {loinc("24323-8", "Comprehensive metabolic panel", "生化全套"), metabolic_labs, 9800},
    {{systems::service, "panel-markers-lung", "Lung tumour markers", "肺肿瘤标志物"},
     lung_markers,
     12000},
    {{systems::service, "panel-markers-breast", "Breast tumour markers", "乳腺肿瘤标志物"},
     breast_markers,
     12000},
    {{systems::service, "panel-markers-bowel", "Bowel tumour markers", "消化道肿瘤标志物"},
     bowel_markers,
     12000},
    {{systems::service, "panel-mineral", "Mineral and bone panel", "钙磷代谢"},
     mineral_labs,
     16500},
};

constexpr Drug drugs[drug_count] = {
    {"amlodipine", "C08CA01", "Amlodipine", "氨氯地平", 5, "mg", 1, "oral", "tablet", "片", 65},
    {"nifedipine", "C08CA05", "Nifedipine", "硝苯地平", 30, "mg", 1, "oral",
     "controlled-release tablet", "控释片", 260},
    {"valsartan", "C09CA03", "Valsartan", "缬沙坦", 80, "mg", 1, "oral", "capsule", "胶囊", 180},
    {"losartan", "C09CA01", "Losartan", "氯沙坦", 50, "mg", 1, "oral", "tablet", "片", 170},
    {"irbesartan", "C09CA04", "Irbesartan", "厄贝沙坦", 150, "mg", 1, "oral", "tablet", "片", 90},
    {"enalapril", "C09AA02", "Enalapril", "依那普利", 10, "mg", 1, "oral", "tablet", "片", 70},
    {"metoprolol", "C07AB02", "Metoprolol", "美托洛尔", 47.5, "mg", 1, "oral",
     "prolonged-release tablet", "缓释片", 190},
    {"hydrochlorothiazide", "C03AA03", "Hydrochlorothiazide", "氢氯噻嗪", 12.5, "mg", 1, "oral",
     "tablet", "片", 10},
    {"metformin", "A10BA02", "Metformin", "二甲双胍", 500, "mg", 2, "oral", "tablet", "片", 45},
    {"gliclazide", "A10BB09", "Gliclazide", "格列齐特", 60, "mg", 1, "oral",
     "prolonged-release tablet", "缓释片", 120},
    {"acarbose", "A10BF01", "Acarbose", "阿卡波糖", 50, "mg", 3, "oral", "tablet", "片", 40},
    {"sitagliptin", "A10BH01", "Sitagliptin", "西格列汀", 100, "mg", 1, "oral", "tablet", "片",
     550},
    {"dapagliflozin", "A10BK01", "Dapagliflozin", "达格列净", 10, "mg", 1, "oral", "tablet", "片",
     420},
    {"insulin_glargine", "A10AE04", "Insulin glargine", "甘精胰岛素", 16, "[IU]", 1, "sc",
     "injection", "注射液", 380},
    {"atorvastatin", "C10AA05", "Atorvastatin", "阿托伐他汀", 20, "mg", 1, "oral", "tablet", "片",
     90},
    {"rosuvastatin", "C10AA07", "Rosuvastatin", "瑞舒伐他汀", 10, "mg", 1, "oral", "tablet", "片",
     110},
    {"aspirin", "B01AC06", "Aspirin", "阿司匹林", 100, "mg", 1, "oral", "enteric-coated tablet",
     "肠溶片", 50},
    {"clopidogrel", "B01AC04", "Clopidogrel", "氯吡格雷", 75, "mg", 1, "oral", "tablet", "片", 240},
    {"furosemide", "C03CA01", "Furosemide", "呋塞米", 20, "mg", 1, "oral", "tablet", "片", 15},
    {"amoxicillin", "J01CA04", "Amoxicillin", "阿莫西林", 500, "mg", 3, "oral", "capsule", "胶囊",
     40},
    {"cefuroxime", "J01DC02", "Cefuroxime", "头孢呋辛", 250, "mg", 2, "oral", "tablet", "片", 110},
    {"ceftriaxone", "J01DD04", "Ceftriaxone", "头孢曲松", 2, "g", 1, "iv", "powder for injection",
     "注射剂", 1800},
    {"azithromycin", "J01FA10", "Azithromycin", "阿奇霉素", 500, "mg", 1, "oral", "tablet", "片",
     300},
    {"levofloxacin", "J01MA12", "Levofloxacin", "左氧氟沙星", 500, "mg", 1, "oral", "tablet", "片",
     280},
    {"ibuprofen", "M01AE01", "Ibuprofen", "布洛芬", 300, "mg", 2, "oral",
     "prolonged-release capsule", "缓释胶囊", 60},
    {"paracetamol", "N02BE01", "Paracetamol", "对乙酰氨基酚", 500, "mg", 3, "oral", "tablet", "片",
     20},
    {"omeprazole", "A02BC01", "Omeprazole", "奥美拉唑", 20, "mg", 1, "oral",
     "enteric-coated capsule", "肠溶胶囊", 90},
    {"loratadine", "R06AX13", "Loratadine", "氯雷他定", 10, "mg", 1, "oral", "tablet", "片", 80},
    {"ambroxol", "R05CB06", "Ambroxol", "氨溴索", 30, "mg", 3, "oral", "tablet", "片", 40},
    {"diosmectite", "A07BC05", "Diosmectite", "蒙脱石散", 3, "g", 3, "oral", "powder", "散剂", 60},
    {"salbutamol", "R03AC02", "Salbutamol", "沙丁胺醇", 100, "ug", 3, "inhaled", "inhaler",
     "气雾剂", 25},
    {"tiotropium", "R03BB04", "Tiotropium", "噻托溴铵", 18, "ug", 1, "inhaled", "inhalation powder",
     "吸入粉雾剂", 900},
    {"budesonide", "R03BA02", "Budesonide", "布地奈德", 200, "ug", 2, "inhaled", "inhaler",
     "吸入气雾剂", 150},
    {"celecoxib", "M01AH01", "Celecoxib", "塞来昔布", 200, "mg", 1, "oral", "capsule", "胶囊", 150},
    {"calcitriol", "A11CC04", "Calcitriol", "骨化三醇", 0.25, "ug", 1, "oral", "capsule", "胶丸",
     220},
    {"epoetin", "B03XA01", "Epoetin", "重组人促红素", 3000, "[IU]", 0, "sc", "injection", "注射液",
     2600},
    {"roxadustat", "B03XA05", "Roxadustat", "罗沙司他", 100, "mg", 1, "oral", "capsule", "胶囊",
     1900},
    {"iron_sucrose", "B03AC", "Iron sucrose", "蔗糖铁", 100, "mg", 0, "iv", "injection", "注射液",
     5200},
    {"sevelamer", "V03AE02", "Sevelamer", "司维拉姆", 800, "mg", 3, "oral", "tablet", "片", 480},
    {"calcium_carbonate", "A12AA04", "Calcium carbonate", "碳酸钙", 600, "mg", 2, "oral", "tablet",
     "片", 45},
    {"tacrolimus", "L04AD02", "Tacrolimus", "他克莫司", 2, "mg", 2, "oral", "capsule", "胶囊",
     3200},
    {"mycophenolate", "L04AA06", "Mycophenolate mofetil", "吗替麦考酚酯", 500, "mg", 2, "oral",
     "capsule", "胶囊", 1400},
    {"prednisone", "H02AB07", "Prednisone", "泼尼松", 10, "mg", 1, "oral", "tablet", "片", 15},
    {"gefitinib", "L01EB01", "Gefitinib", "吉非替尼", 250, "mg", 1, "oral", "tablet", "片", 2600},
    {"osimertinib", "L01EB04", "Osimertinib", "奥希替尼", 80, "mg", 1, "oral", "tablet", "片",
     18600},
    {"alectinib", "L01ED03", "Alectinib", "阿来替尼", 600, "mg", 2, "oral", "capsule", "胶囊",
     18200},
    {"pemetrexed", "L01BA04", "Pemetrexed", "培美曲塞", 800, "mg", 0, "iv", "powder for injection",
     "注射剂", 98000},
    {"cisplatin", "L01XA01", "Cisplatin", "顺铂", 120, "mg", 0, "iv", "injection", "注射液", 9600},
    {"carboplatin", "L01XA02", "Carboplatin", "卡铂", 450, "mg", 0, "iv", "injection", "注射液",
     24000},
    {"oxaliplatin", "L01XA03", "Oxaliplatin", "奥沙利铂", 200, "mg", 0, "iv", "injection", "注射液",
     32000},
    {"paclitaxel", "L01CD01", "Paclitaxel", "紫杉醇", 270, "mg", 0, "iv", "injection", "注射液",
     46000},
    {"docetaxel", "L01CD02", "Docetaxel", "多西他赛", 120, "mg", 0, "iv", "injection", "注射液",
     52000},
    {"etoposide", "L01CB01", "Etoposide", "依托泊苷", 160, "mg", 0, "iv", "injection", "注射液",
     8600},
    {"capecitabine", "L01BC06", "Capecitabine", "卡培他滨", 1500, "mg", 2, "oral", "tablet", "片",
     2400},
    {"irinotecan", "L01CE02", "Irinotecan", "伊立替康", 300, "mg", 0, "iv", "injection", "注射液",
     64000},
    {"fluorouracil", "L01BC02", "Fluorouracil", "氟尿嘧啶", 4000, "mg", 0, "iv", "injection",
     "注射液", 5200},
    {"leucovorin", "V03AF03", "Calcium folinate", "亚叶酸钙", 600, "mg", 0, "iv", "injection",
     "注射液", 6400},
    {"cyclophosphamide", "L01AA01", "Cyclophosphamide", "环磷酰胺", 900, "mg", 0, "iv",
     "powder for injection", "注射剂", 4200},
    {"epirubicin", "L01DB03", "Epirubicin", "表柔比星", 140, "mg", 0, "iv", "powder for injection",
     "注射剂", 28000},
    {"trastuzumab", "L01FD01", "Trastuzumab", "曲妥珠单抗", 360, "mg", 0, "iv",
     "powder for injection", "注射剂", 420000},
    {"bevacizumab", "L01FG01", "Bevacizumab", "贝伐珠单抗", 450, "mg", 0, "iv", "injection",
     "注射液", 380000},
    {"pembrolizumab", "L01FF02", "Pembrolizumab", "帕博利珠单抗", 200, "mg", 0, "iv", "injection",
     "注射液", 1790000},
    {"letrozole", "L02BG04", "Letrozole", "来曲唑", 2.5, "mg", 1, "oral", "tablet", "片", 800},
    {"tamoxifen", "L02BA01", "Tamoxifen", "他莫昔芬", 10, "mg", 2, "oral", "tablet", "片", 90},
    {"ondansetron", "A04AA01", "Ondansetron", "昂丹司琼", 8, "mg", 0, "iv", "injection", "注射液",
     1200},
    {"dexamethasone", "H02AB02", "Dexamethasone", "地塞米松", 10, "mg", 0, "iv", "injection",
     "注射液", 60},
    {"morphine", "N02AA01", "Morphine", "吗啡", 10, "mg", 2, "oral", "prolonged-release tablet",
     "缓释片", 160},
    {"folic_acid", "B03BB01", "Folic acid", "叶酸", 5, "mg", 1, "oral", "tablet", "片", 10},
    {"heparin", "B01AB01", "Heparin", "肝素", 5000, "[IU]", 0, "iv", "injection", "注射液", 900},
    {"febuxostat", "M04AA03", "Febuxostat", "非布司他", 40, "mg", 1, "oral", "tablet", "片", 260},
};

constexpr Code own(std::string_view code, std::string_view en, std::string_view zh) {
    return {systems::procedure, code, en, zh};
}
constexpr Code icd9(std::string_view code, std::string_view en) {
    return {systems::icd9_procedures, code, en, {}};
}

constexpr ProcedureKind procedures[proc_count] = {
    {own("none", "None", "无")},
    {own("hemodialysis", "Hemodialysis", "血液透析"), icd9("39.95", "Hemodialysis"),
     sct("302497006", "Hemodialysis"), 42000},
    {own("peritoneal-dialysis", "Peritoneal dialysis", "腹膜透析"),
     icd9("54.98", "Peritoneal dialysis"),
     {},
     30000},
    {own("av-fistula", "Arteriovenous fistula creation", "动静脉内瘘成形术"),
     icd9("39.27", "Arteriovenostomy for renal dialysis"),
     {},
     260000,
     "av_fistula"},
    {own("dialysis-catheter", "Dialysis catheter placement", "颈内静脉置管"),
     icd9("38.95", "Venous catheterization for renal dialysis"),
     {},
     90000,
     "hd_catheter"},
    {own("pd-catheter", "Peritoneal dialysis catheter placement", "腹膜透析管置入术"),
     icd9("54.93", "Creation of cutaneoperitoneal fistula"),
     {},
     240000,
     "pd_catheter"},
    {own("kidney-transplant", "Kidney transplantation", "肾移植术"),
     icd9("55.69", "Other kidney transplantation"), sct("70536003", "Transplant of kidney"),
     9800000},
    {own("kidney-biopsy", "Percutaneous kidney biopsy", "肾穿刺活检术"),
     icd9("55.23", "Closed biopsy of kidney"),
     {},
     180000},
    {own("lobectomy", "Thoracoscopic lobectomy of lung", "胸腔镜肺叶切除术"),
     icd9("32.41", "Thoracoscopic lobectomy of lung"), sct("173171007", "Lobectomy of lung"),
     2600000, "lobectomy"},
    {own("bronchoscopy", "Bronchoscopic biopsy", "支气管镜活检"),
     icd9("33.24", "Closed biopsy of bronchus"), sct("10847001", "Bronchoscopy"), 160000, "biopsy"},
    {own("lung-needle-biopsy", "CT-guided needle biopsy of lung", "CT引导下肺穿刺活检"),
     icd9("33.26", "Closed needle biopsy of lung"),
     {},
     190000,
     "biopsy"},
    {own("breast-biopsy", "Core needle biopsy of breast", "乳腺肿物穿刺活检"),
     icd9("85.11", "Closed biopsy of breast"),
     {},
     90000,
     "biopsy"},
    {own("breast-conserving", "Breast-conserving surgery", "保乳手术"),
     icd9("85.21", "Local excision of lesion of breast"), sct("392021009", "Lumpectomy of breast"),
     1200000, "breast_conserving"},
    {own("mastectomy", "Simple mastectomy", "乳房切除术"),
     icd9("85.41", "Unilateral simple mastectomy"), sct("172043006", "Simple mastectomy"), 1400000,
     "mastectomy"},
    {own("colonoscopy", "Colonoscopy", "结肠镜检查"), icd9("45.23", "Colonoscopy"),
     sct("73761001", "Colonoscopy"), 48000},
    {own("colon-biopsy", "Colonoscopic biopsy", "肠镜活检"),
     icd9("45.25", "Closed endoscopic biopsy of large intestine"),
     {},
     60000,
     "biopsy"},
    {own("polypectomy", "Endoscopic polypectomy", "内镜下息肉切除术"),
     icd9("45.42", "Endoscopic polypectomy of large intestine"),
     {},
     120000,
     "polypectomy"},
    {own("right-hemicolectomy", "Right hemicolectomy", "右半结肠切除术"),
     icd9("45.73", "Right hemicolectomy"),
     {},
     2200000,
     "right_hemicolectomy"},
    {own("left-hemicolectomy", "Left hemicolectomy", "左半结肠切除术"),
     icd9("45.75", "Left hemicolectomy"),
     {},
     2200000,
     "left_hemicolectomy"},
    {own("sigmoidectomy", "Sigmoidectomy", "乙状结肠切除术"),
     icd9("45.76", "Sigmoidectomy"),
     {},
     2100000,
     "sigmoidectomy"},
    {own("anterior-resection", "Low anterior resection", "直肠前切除术"),
     icd9("48.63", "Other anterior resection of rectum"),
     {},
     2500000,
     "anterior_resection"},
    {own("chemotherapy", "Chemotherapy", "化疗"),
     icd9("99.25", "Injection of cancer chemotherapeutic substance"),
     sct("367336001", "Chemotherapy"), 30000},
    {own("radiotherapy", "Radiotherapy", "放射治疗"),
     icd9("92.24", "Teleradiotherapy using photons"),
     sct("108290001", "Radiation oncology AND/OR radiotherapy"), 2800000},
    {own("appendectomy", "Laparoscopic appendectomy", "腹腔镜阑尾切除术"),
     icd9("47.01", "Laparoscopic appendectomy"), sct("80146002", "Appendectomy"), 600000,
     "appendectomy"},
    {own("cholecystectomy", "Laparoscopic cholecystectomy", "腹腔镜胆囊切除术"),
     icd9("51.23", "Laparoscopic cholecystectomy"), sct("38102005", "Cholecystectomy"), 850000,
     "cholecystectomy"},
    {own("cataract", "Phacoemulsification with lens implant", "白内障超声乳化术"),
     icd9("13.41", "Phacoemulsification and aspiration of cataract"),
     {},
     480000},
    {own("fracture-fixation", "Open reduction with internal fixation", "骨折切开复位内固定术"),
     icd9("79.32", "Open reduction of fracture with internal fixation, radius and ulna"),
     {},
     1600000},
    {own("hip-replacement", "Total hip replacement", "全髋关节置换术"),
     icd9("81.51", "Total hip replacement"),
     {},
     3600000},
    {own("pci", "Coronary stent implantation", "冠脉支架植入术"),
     icd9("36.07", "Insertion of drug-eluting coronary artery stent(s)"),
     {},
     3200000,
     "pci"},
    {own("cesarean", "Cesarean section", "剖宫产"), icd9("74.1", "Low cervical cesarean section"),
     sct("11466000", "Cesarean section"), 520000, "cesarean"},
    {own("delivery", "Assisted spontaneous delivery", "顺产接生"),
     icd9("73.59", "Other manually assisted delivery"),
     {},
     180000},
    {own("gastroscopy", "Gastroscopy with biopsy", "胃镜检查"),
     icd9("45.16", "Esophagogastroduodenoscopy with closed biopsy"),
     {},
     42000},
};

constexpr Code image(std::string_view code, std::string_view en, std::string_view zh) {
    return {systems::service, code, en, zh};
}
constexpr ImagingKind images[image_count] = {
    {image("ct-chest", "CT chest", "胸部CT"), "CT", sct("51185008", "Thoracic structure"), 320,
     28000},
    {image("xray-chest", "Chest X-ray", "胸部X线"), "DX", sct("51185008", "Thoracic structure"), 2,
     8000},
    {image("mammography", "Mammography", "乳腺钼靶"), "MG", sct("76752008", "Breast structure"), 4,
     24000},
    {image("us-breast", "Breast ultrasound", "乳腺超声"), "US", sct("76752008", "Breast structure"),
     12, 12000},
    {image("ct-abdomen", "CT abdomen", "腹部CT"), "CT", sct("818983003", "Abdomen"), 380, 36000},
    {image("us-abdomen", "Abdominal ultrasound", "腹部超声"), "US", sct("818983003", "Abdomen"), 16,
     12000},
    {image("ct-head", "CT head", "头颅CT"), "CT", sct("69536005", "Head structure"), 160, 26000},
    {image("pet-ct", "PET-CT", "PET-CT"), "PT", sct("38266002", "Entire body as a whole"), 900,
     700000},
    {image("mri-brain", "MRI brain", "头颅MRI"), "MR", sct("69536005", "Head structure"), 240,
     58000},
    {image("xray-bone", "Bone X-ray", "骨关节X线"), "DX", sct("272673000", "Bone structure"), 2,
     9000},
    {image("us-kidney", "Kidney ultrasound", "泌尿系超声"), "US",
     sct("64033007", "Kidney structure"), 10, 11000},
};

}  // namespace

namespace dx {
const Diagnosis hypertension{icd("I10", "Essential (primary) hypertension", "高血压"),
                             sct("59621000", "Essential hypertension")};
const Diagnosis diabetes{
    icd("E11.9", "Type 2 diabetes mellitus without complications", "2型糖尿病"),
    sct("44054006", "Type 2 diabetes mellitus")};
const Diagnosis diabetic_kidney{
    icd("E11.2", "Type 2 diabetes mellitus with renal complications", "2型糖尿病肾病")};
const Diagnosis dyslipidaemia{icd("E78.5", "Hyperlipidaemia, unspecified", "高脂血症"),
                              sct("55822004", "Hyperlipidemia")};
const Diagnosis coronary{icd("I25.1", "Atherosclerotic heart disease", "冠心病"),
                         sct("53741008", "Coronary arteriosclerosis")};
const Diagnosis copd{
    icd("J44.9", "Chronic obstructive pulmonary disease, unspecified", "慢性阻塞性肺疾病"),
    sct("13645005", "Chronic obstructive lung disease")};
const Diagnosis gout{icd("M10.9", "Gout, unspecified", "痛风"), sct("90560007", "Gout")};
const Diagnosis ckd1{icd("N18.1", "Chronic kidney disease, stage 1", "慢性肾脏病1期"),
                     sct("431855005", "Chronic kidney disease stage 1")};
const Diagnosis ckd2{icd("N18.2", "Chronic kidney disease, stage 2", "慢性肾脏病2期"),
                     sct("431856006", "Chronic kidney disease stage 2")};
const Diagnosis ckd3{icd("N18.3", "Chronic kidney disease, stage 3", "慢性肾脏病3期"),
                     sct("433144002", "Chronic kidney disease stage 3")};
const Diagnosis ckd4{icd("N18.4", "Chronic kidney disease, stage 4", "慢性肾脏病4期"),
                     sct("431857002", "Chronic kidney disease stage 4")};
const Diagnosis ckd5{icd("N18.5", "Chronic kidney disease, stage 5", "慢性肾脏病5期"),
                     sct("433146000", "Chronic kidney disease stage 5")};
const Diagnosis glomerulonephritis{
    icd("N03.9", "Chronic nephritic syndrome, unspecified", "慢性肾小球肾炎")};
const Diagnosis iga_nephropathy{
    icd("N02.8", "Recurrent and persistent haematuria, other (IgA nephropathy)", "IgA肾病"),
    sct("236407003", "IgA nephropathy")};
const Diagnosis hypertensive_kidney{
    icd("I12.9", "Hypertensive renal disease without renal failure", "高血压肾病")};
const Diagnosis renal_anaemia{
    icd("D63.8", "Anaemia in other chronic diseases classified elsewhere", "肾性贫血")};
const Diagnosis secondary_hyperparathyroidism{
    icd("N25.8", "Other disorders resulting from impaired renal tubular function",
        "继发性甲状旁腺功能亢进")};
const Diagnosis transplant_status{icd("Z94.0", "Kidney transplant status", "肾移植状态"),
                                  sct("737295003", "Transplanted kidney present")};
const Diagnosis dialysis_dependence{icd("Z99.2", "Dependence on renal dialysis", "依赖肾透析")};
const Diagnosis lung_nodule{
    icd("R91", "Abnormal findings on diagnostic imaging of lung", "肺结节")};
const Diagnosis breast_finding{
    icd("R92", "Abnormal findings on diagnostic imaging of breast", "乳腺影像学异常")};
const Diagnosis lung_upper{
    icd("C34.1", "Malignant neoplasm of upper lobe, bronchus or lung", "肺上叶恶性肿瘤"),
    sct("254637007", "Non-small cell lung cancer")};
const Diagnosis lung_middle{
    icd("C34.2", "Malignant neoplasm of middle lobe, bronchus or lung", "肺中叶恶性肿瘤"),
    sct("254637007", "Non-small cell lung cancer")};
const Diagnosis lung_lower{
    icd("C34.3", "Malignant neoplasm of lower lobe, bronchus or lung", "肺下叶恶性肿瘤"),
    sct("254637007", "Non-small cell lung cancer")};
const Diagnosis breast{
    icd("C50.4", "Malignant neoplasm of upper-outer quadrant of breast", "乳腺癌"),
    sct("254837009", "Malignant neoplasm of breast")};
const Diagnosis caecum{icd("C18.0", "Malignant neoplasm of caecum", "盲肠癌")};
const Diagnosis ascending_colon{icd("C18.2", "Malignant neoplasm of ascending colon", "升结肠癌")};
const Diagnosis transverse_colon{
    icd("C18.4", "Malignant neoplasm of transverse colon", "横结肠癌")};
const Diagnosis descending_colon{
    icd("C18.6", "Malignant neoplasm of descending colon", "降结肠癌")};
const Diagnosis sigmoid{icd("C18.7", "Malignant neoplasm of sigmoid colon", "乙状结肠癌")};
const Diagnosis rectum{icd("C20", "Malignant neoplasm of rectum", "直肠癌"),
                       sct("363351006", "Malignant tumor of rectum")};
const Diagnosis metastasis_brain{
    icd("C79.3", "Secondary malignant neoplasm of brain and cerebral meninges", "脑转移"),
    sct("94225005", "Metastatic malignant neoplasm to brain")};
const Diagnosis metastasis_bone{
    icd("C79.5", "Secondary malignant neoplasm of bone and bone marrow", "骨转移"),
    sct("94222008", "Metastatic malignant neoplasm to bone")};
const Diagnosis metastasis_liver{icd("C78.7", "Secondary malignant neoplasm of liver", "肝转移"),
                                 sct("94381002", "Metastatic malignant neoplasm to liver")};
const Diagnosis metastasis_lung{icd("C78.0", "Secondary malignant neoplasm of lung", "肺转移"),
                                sct("94391008", "Metastatic malignant neoplasm to lung")};
const Diagnosis chemotherapy_session{icd("Z51.1", "Chemotherapy session for neoplasm", "肿瘤化疗")};
const Diagnosis health_check{icd("Z00.0", "General medical examination", "健康体检")};
const Diagnosis immunisation{
    icd("Z27.9", "Need for immunization against unspecified combinations of infectious diseases",
        "预防接种")};
const Diagnosis pneumonia{icd("J18.9", "Pneumonia, unspecified", "肺炎"),
                          sct("233604007", "Pneumonia")};
const Diagnosis appendicitis{
    icd("K35.8", "Acute appendicitis, other and unspecified", "急性阑尾炎"),
    sct("85189001", "Acute appendicitis")};
const Diagnosis gallstones{
    icd("K80.2", "Calculus of gallbladder without cholecystitis", "胆囊结石"),
    sct("235919008", "Gallbladder calculus")};
const Diagnosis stroke{icd("I63.9", "Cerebral infarction, unspecified", "脑梗死"),
                       sct("432504007", "Cerebral infarction")};
const Diagnosis infarction{icd("I21.9", "Acute myocardial infarction, unspecified", "急性心肌梗死"),
                           sct("57054005", "Acute myocardial infarction")};
const Diagnosis angina{icd("I20.0", "Unstable angina", "不稳定型心绞痛"),
                       sct("4557003", "Preinfarction syndrome")};
const Diagnosis radius_fracture{icd("S52.5", "Fracture of lower end of radius", "桡骨远端骨折")};
const Diagnosis hip_fracture{icd("S72.0", "Fracture of neck of femur", "股骨颈骨折")};
const Diagnosis copd_exacerbation{
    icd("J44.1", "Chronic obstructive pulmonary disease with acute exacerbation, unspecified",
        "慢性阻塞性肺疾病急性加重"),
    sct("195951007", "Acute exacerbation of chronic obstructive airways disease")};
const Diagnosis cataract{icd("H25.9", "Senile cataract, unspecified", "老年性白内障")};
const Diagnosis delivery{icd("O80.9", "Single spontaneous delivery, unspecified", "单胎顺产")};
const Diagnosis cesarean{icd("O82.9", "Delivery by caesarean section, unspecified", "剖宫产分娩")};
const Diagnosis polyp{icd("K63.5", "Polyp of colon", "结肠息肉"),
                      sct("68496003", "Polyp of colon")};
const Diagnosis hematochezia{icd("K92.2", "Gastrointestinal haemorrhage, unspecified", "便血")};
const Diagnosis kidney_failure_infection{
    icd("T82.7", "Infection due to vascular device", "透析导管相关感染")};
}  // namespace dx

namespace {

using K = DepartmentKind;
constexpr std::uint8_t dep(K kind) {
    return static_cast<std::uint8_t>(kind);
}

const AcuteIllness acute[] = {
    {{icd("J06.9", "Acute upper respiratory infection, unspecified", "急性上呼吸道感染"),
      sct("54150009", "Upper respiratory infection")},
     10,
     6,
     4,
     7,
     {drug_paracetamol, drug_ambroxol},
     2,
     true,
     true,
     true,
     dep(K::general_practice)},
    {{icd("J20.9", "Acute bronchitis, unspecified", "急性支气管炎"),
      sct("10509002", "Acute bronchitis")},
     5,
     3,
     4,
     12,
     {drug_ambroxol, drug_azithromycin},
     2,
     true,
     true,
     true,
     dep(K::respiratory)},
    {{icd("J03.9", "Acute tonsillitis, unspecified", "急性扁桃体炎"),
      sct("17741008", "Acute tonsillitis")},
     4,
     1.5,
     0.3,
     8,
     {drug_amoxicillin, drug_paracetamol},
     2,
     true,
     true,
     true,
     dep(K::general_practice)},
    {{icd("A09.9", "Gastroenteritis and colitis of unspecified origin", "急性胃肠炎"),
      sct("25374005", "Gastroenteritis")},
     3,
     2,
     1.5,
     4,
     {drug_smectite, drug_levofloxacin},
     1,
     true,
     false,
     true,
     dep(K::internal)},
    {{icd("K29.7", "Gastritis, unspecified", "胃炎"), sct("4556007", "Gastritis")},
     0.3,
     3,
     3,
     30,
     {drug_omeprazole, drug_omeprazole},
     1,
     false,
     false,
     false,
     dep(K::internal)},
    {{icd("M54.5", "Low back pain", "下腰痛"), sct("279039007", "Low back pain")},
     0,
     3,
     4,
     21,
     {drug_celecoxib, drug_ibuprofen},
     1,
     false,
     false,
     false,
     dep(K::orthopaedics)},
    {{icd("M17.9", "Gonarthrosis, unspecified", "膝骨关节炎"),
      sct("239873007", "Osteoarthritis of knee")},
     0,
     0.8,
     4,
     60,
     {drug_celecoxib, drug_celecoxib},
     1,
     false,
     false,
     false,
     dep(K::orthopaedics)},
    {{icd("L30.9", "Dermatitis, unspecified", "皮炎"), sct("182782007", "Dermatitis")},
     2,
     1.5,
     1.2,
     14,
     {drug_loratadine, drug_loratadine},
     1,
     false,
     false,
     true,
     dep(K::general_practice)},
    {{icd("J30.4", "Allergic rhinitis, unspecified", "过敏性鼻炎"),
      sct("61582004", "Allergic rhinitis")},
     2,
     2,
     0.8,
     30,
     {drug_loratadine, drug_budesonide},
     1,
     false,
     false,
     true,
     dep(K::general_practice)},
    {{icd("N39.0", "Urinary tract infection, site not specified", "尿路感染"),
      sct("68566005", "Urinary tract infectious disease")},
     0.3,
     1.3,
     1.8,
     7,
     {drug_levofloxacin, drug_levofloxacin},
     1,
     true,
     false,
     false,
     dep(K::internal)},
    {{icd("H10.9", "Conjunctivitis, unspecified", "结膜炎"), sct("9826008", "Conjunctivitis")},
     1,
     0.7,
     0.8,
     7,
     {drug_levofloxacin, drug_levofloxacin},
     0,
     false,
     false,
     false,
     dep(K::ophthalmology)},
    {{icd("G47.0", "Disorders of initiating and maintaining sleep [insomnias]", "失眠"),
      sct("193462001", "Insomnia")},
     0,
     1.2,
     2,
     30,
     {drug_paracetamol, drug_paracetamol},
     0,
     false,
     false,
     false,
     dep(K::neurology)},
    {{icd("G44.2", "Tension-type headache", "紧张性头痛"),
      sct("398057008", "Tension-type headache")},
     0.2,
     1.3,
     0.8,
     5,
     {drug_ibuprofen, drug_paracetamol},
     1,
     false,
     false,
     true,
     dep(K::neurology)},
    {{icd("J45.9", "Asthma, unspecified", "支气管哮喘"), sct("195967001", "Asthma")},
     0.8,
     0.5,
     0.5,
     30,
     {drug_budesonide, drug_salbutamol},
     2,
     false,
     false,
     false,
     dep(K::respiratory)},
    {{icd("N76.0", "Acute vaginitis", "急性阴道炎")},
     0,
     1.6,
     0.3,
     10,
     {drug_azithromycin, drug_azithromycin},
     0,
     false,
     false,
     false,
     dep(K::gynaecology),
     true},
    {{icd("S93.4", "Sprain and strain of ankle", "踝关节扭伤"), sct("44465007", "Sprain of ankle")},
     0.8,
     0.8,
     0.3,
     14,
     {drug_ibuprofen, drug_ibuprofen},
     1,
     false,
     false,
     false,
     dep(K::orthopaedics)},
    {{icd("K04.0", "Pulpitis", "牙髓炎")},
     0.8,
     1.2,
     0.8,
     5,
     {drug_ibuprofen, drug_amoxicillin},
     2,
     false,
     false,
     true,
     dep(K::general_practice)},
    {{icd("H81.1", "Benign paroxysmal vertigo", "良性阵发性眩晕"),
      sct("111541001", "Benign paroxysmal positional vertigo")},
     0,
     0.5,
     1.4,
     7,
     {drug_paracetamol, drug_paracetamol},
     0,
     false,
     false,
     false,
     dep(K::neurology)},
};

constexpr int hepb[] = {0, 1, 6};
constexpr int bcg[] = {0};
constexpr int ipv[] = {2, 3, 4, 48};
constexpr int dtap[] = {3, 4, 5, 18};
constexpr int mmr[] = {8, 18};
constexpr int je[] = {8, 24};
constexpr int mening[] = {6, 9, 36, 72};
constexpr int hepa[] = {18};
// National immunization schedule (2021 edition of the programme), CVX of the nearest product.
const Vaccine vaccine_table[] = {
    {{systems::cvx, "08", "Hep B, adolescent or pediatric", "乙肝疫苗"}, hepb},
    {{systems::cvx, "19", "BCG", "卡介苗"}, bcg},
    {{systems::cvx, "10", "IPV", "脊灰灭活疫苗"}, ipv},
    {{systems::cvx, "20", "DTaP", "百白破疫苗"}, dtap},
    {{systems::cvx, "03", "MMR", "麻腮风疫苗"}, mmr},
    {{systems::cvx, "39", "Japanese encephalitis", "乙脑疫苗"}, je},
    {{systems::cvx, "32", "Meningococcal polysaccharide", "流脑多糖疫苗"}, mening},
    {{systems::cvx, "83", "Hep A, ped/adol, 2 dose", "甲肝疫苗"}, hepa},
};

constexpr Code visit(std::string_view code, std::string_view en, std::string_view zh) {
    return {systems::encounter_type, code, en, zh};
}
constexpr EncounterKind encounter_kinds[visit_kind_count] = {
    {visit("outpatient", "Out-patient visit", "门诊"), sct("185345009", "Encounter for symptom"),
     "AMB"},
    {visit("follow-up", "Chronic disease follow-up", "慢病随访"),
     sct("390906007", "Follow-up encounter"), "AMB"},
    {visit("checkup", "Health check", "健康体检"), sct("185349003", "Encounter for check up"),
     "AMB"},
    {visit("vaccination", "Vaccination visit", "预防接种"),
     sct("185349003", "Encounter for check up"), "AMB"},
    {visit("inpatient", "In-patient stay", "住院"), sct("32485007", "Hospital admission"), "IMP"},
    {visit("emergency", "Emergency visit", "急诊"), sct("50849002", "Emergency room admission"),
     "EMER"},
    {visit("dialysis", "Dialysis course", "透析治疗"), sct("390906007", "Follow-up encounter"),
     "AMB"},
    {visit("chemotherapy", "Chemotherapy day case", "日间化疗"),
     sct("390906007", "Follow-up encounter"), "AMB"},
    {visit("screening", "Cancer screening", "肿瘤筛查"), sct("185349003", "Encounter for check up"),
     "AMB"},
};

}  // namespace

const Code influenza_vaccine{systems::cvx, "88", "influenza, unspecified formulation", "流感疫苗"};
const Code pneumococcal_vaccine{systems::cvx, "33", "pneumococcal polysaccharide PPV23",
                                "23价肺炎疫苗"};

const Lab& lab(LabId id) {
    return labs[id];
}
const Panel& panel(PanelId id) {
    return panels[id];
}
const Drug& drug(DrugId id) {
    return drugs[id];
}
const ProcedureKind& procedure(ProcedureId id) {
    return procedures[id];
}
const ImagingKind& imaging(ImagingId id) {
    return images[id];
}
std::span<const AcuteIllness> acute_illnesses() {
    return acute;
}
std::span<const Vaccine> vaccines() {
    return vaccine_table;
}
const EncounterKind& encounter_kind(EncounterKindId id) {
    return encounter_kinds[id];
}

std::span<const Diagnosis* const> diagnoses() {
    static const Diagnosis* const all[] = {&dx::hypertension,
                                           &dx::diabetes,
                                           &dx::diabetic_kidney,
                                           &dx::dyslipidaemia,
                                           &dx::coronary,
                                           &dx::copd,
                                           &dx::gout,
                                           &dx::ckd1,
                                           &dx::ckd2,
                                           &dx::ckd3,
                                           &dx::ckd4,
                                           &dx::ckd5,
                                           &dx::glomerulonephritis,
                                           &dx::iga_nephropathy,
                                           &dx::hypertensive_kidney,
                                           &dx::renal_anaemia,
                                           &dx::secondary_hyperparathyroidism,
                                           &dx::transplant_status,
                                           &dx::dialysis_dependence,
                                           &dx::lung_nodule,
                                           &dx::breast_finding,
                                           &dx::lung_upper,
                                           &dx::lung_middle,
                                           &dx::lung_lower,
                                           &dx::breast,
                                           &dx::caecum,
                                           &dx::ascending_colon,
                                           &dx::transverse_colon,
                                           &dx::descending_colon,
                                           &dx::sigmoid,
                                           &dx::rectum,
                                           &dx::metastasis_brain,
                                           &dx::metastasis_bone,
                                           &dx::metastasis_liver,
                                           &dx::metastasis_lung,
                                           &dx::chemotherapy_session,
                                           &dx::health_check,
                                           &dx::immunisation,
                                           &dx::pneumonia,
                                           &dx::appendicitis,
                                           &dx::gallstones,
                                           &dx::stroke,
                                           &dx::infarction,
                                           &dx::angina,
                                           &dx::radius_fracture,
                                           &dx::hip_fracture,
                                           &dx::copd_exacerbation,
                                           &dx::cataract,
                                           &dx::delivery,
                                           &dx::cesarean,
                                           &dx::polyp,
                                           &dx::hematochezia,
                                           &dx::kidney_failure_infection};
    return all;
}

}  // namespace meridian::generate
